import type {
  DestroySecretVersionRequest,
  DestroySecretVersionResponse,
} from "../../../gen/murmur/catalog/v1/secrets";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { callerOf } from "../audit";
import type { SecretEndings } from "../secrets/endings";

/** Makes one version of a secret unreadable for ever. */
export function destroySecretVersion(
  endings: SecretEndings,
): UnaryHandler<DestroySecretVersionRequest, DestroySecretVersionResponse> {
  return async (request, context) => ({
    holders: await endings.destroy(callerOf(context), request),
  });
}
