import type {
  ListSecretsRequest,
  ListSecretsResponse,
} from "../../../gen/murmur/catalog/v1/secrets";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { Secrets } from "../secrets/secrets";
import { toSecretMessage } from "./secret-message";

/** Lists secrets by name. */
export function listSecrets(
  secrets: Secrets,
): UnaryHandler<ListSecretsRequest, ListSecretsResponse> {
  return async (request, context) => {
    const { items, nextPageToken } = await secrets.list(callerOf(context).tenantId, request);
    return { secrets: items.map(toSecretMessage), nextPageToken };
  };
}
