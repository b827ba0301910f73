import type {
  StoreSpawnSecretsRequest,
  StoreSpawnSecretsResponse,
} from "../../../gen/murmur/catalog/v1/environments";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { sensitive } from "../../../lib/sensitive";
import { callerOf } from "../audit";
import type { StoreSpawnSecrets } from "../environments/spawn-secrets";

/** Keeps the spawn-time secrets of one agent. */
export function storeSpawnSecrets(
  store: StoreSpawnSecrets,
): UnaryHandler<StoreSpawnSecretsRequest, StoreSpawnSecretsResponse> {
  return async ({ agentId, secrets }, context) => {
    const leaseExpiresAt = await store(
      callerOf(context),
      agentId,
      secrets.map(({ name, plaintextValue }) => ({ name, value: sensitive(plaintextValue) })),
    );
    return { leaseExpiresAt };
  };
}
