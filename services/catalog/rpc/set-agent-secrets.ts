import type {
  SetAgentSecretsRequest,
  SetAgentSecretsResponse,
} from "../../../gen/murmur/catalog/v1/environments";
import type { UnaryHandler } from "../../../lib/grpc/context";
import { sensitive } from "../../../lib/sensitive";
import { callerOf } from "../audit";
import type { SetAgentSecrets } from "../environments/spawn-secrets";

/** Gives new values to secrets of one agent that lives. */
export function setAgentSecrets(
  set: SetAgentSecrets,
): UnaryHandler<SetAgentSecretsRequest, SetAgentSecretsResponse> {
  return async ({ agentId, secrets }, context) => {
    await set(
      callerOf(context),
      agentId,
      secrets.map(({ name, plaintextValue }) => ({ name, value: sensitive(plaintextValue) })),
    );
    return {};
  };
}
