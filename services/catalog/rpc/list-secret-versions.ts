import type {
  ListSecretVersionsRequest,
  ListSecretVersionsResponse,
} from "../../../gen/murmur/catalog/v1/secrets";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import { TENANT } from "../domain/secret";
import type { Secrets } from "../secrets/secrets";
import { toVersionMessage } from "./secret-message";

/** Lists the versions of a secret, newest first. */
export function listSecretVersions(
  secrets: Secrets,
): UnaryHandler<ListSecretVersionsRequest, ListSecretVersionsResponse> {
  return async (request, context) => {
    const { tenantId } = callerOf(context);
    const path = { owner: TENANT, name: request.name };
    const { items, nextPageToken } = await secrets.history(tenantId, path, request);
    return { versions: items.map(toVersionMessage), nextPageToken };
  };
}
