import type {
  DeleteSecretRequest,
  DeleteSecretResponse,
} from "../../../gen/murmur/catalog/v1/secrets";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import { TENANT } from "../domain/secret";
import type { Secrets } from "../secrets/secrets";

/** Ends a secret for future snapshots. */
export function deleteSecret(
  secrets: Secrets,
): UnaryHandler<DeleteSecretRequest, DeleteSecretResponse> {
  return async ({ name, expectedVersion }, context) => {
    await secrets.delete(callerOf(context), { owner: TENANT, name }, expectedVersion);
    return {};
  };
}
