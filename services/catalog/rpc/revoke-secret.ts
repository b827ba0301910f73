import type {
  RevokeSecretRequest,
  RevokeSecretResponse,
} from "../../../gen/murmur/catalog/v1/secrets";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { SecretEndings } from "../secrets/endings";

/** Ends a secret and tells who holds it. */
export function revokeSecret(
  endings: SecretEndings,
): UnaryHandler<RevokeSecretRequest, RevokeSecretResponse> {
  return async ({ name }, context) => ({
    holders: await endings.revoke(callerOf(context), name),
  });
}
