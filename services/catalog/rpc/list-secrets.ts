import type {
  ListSecretsRequest,
  ListSecretsResponse,
} from "../../../gen/murmur/catalog/v1/secrets";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import { TENANT } from "../domain/secret";
import type { Secrets } from "../secrets/secrets";
import { toSecretMessage } from "./secret-message";

/** Lists secrets by name. */
export function listSecrets(
  secrets: Secrets,
): UnaryHandler<ListSecretsRequest, ListSecretsResponse> {
  return async (request, context) => {
    const { tenantId } = callerOf(context);
    const { items, nextPageToken } = await secrets.list(tenantId, TENANT, request);
    return { secrets: items.map(toSecretMessage), nextPageToken };
  };
}
