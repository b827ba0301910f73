import type {
  ListSecretVersionsRequest,
  ListSecretVersionsResponse,
} from "../../../gen/murmur/catalog/v1/secrets";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { Secrets } from "../secrets/secrets";

/** Lists the versions of a secret, newest first. */
export function listSecretVersions(
  secrets: Secrets,
): UnaryHandler<ListSecretVersionsRequest, ListSecretVersionsResponse> {
  return async (request, context) => {
    const { tenantId } = callerOf(context);
    const { items, nextPageToken } = await secrets.history(tenantId, request.name, request);
    const versions = items.map(({ isDeletion, isCurrent, ...entry }) => ({
      ...entry,
      deleted: isDeletion,
      current: isCurrent,
    }));
    return { versions, nextPageToken };
  };
}
