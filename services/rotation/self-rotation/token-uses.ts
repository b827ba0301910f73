import type { TokenUses } from "../credentials/verify-credentials";
import { confirmFirstUse, type FirstUsesDeps } from "./first-uses";
import type { ReuseAlarms } from "./reuse-alarms";

/** What follows from the use of a registered agent's token, whoever verified it. */
export function createTokenUses(
  deps: FirstUsesDeps & { reuses: Pick<ReuseAlarms, "note"> },
): TokenUses {
  return {
    async first({ tenantId, id, registeredAgentId }) {
      if (registeredAgentId) await confirmFirstUse(deps, { tenantId, id, registeredAgentId });
    },
    ofRotatedAway({ tenantId, id, agentName, registeredAgentId }) {
      const agent = registeredAgentId ? { id: registeredAgentId, name: agentName } : undefined;
      deps.reuses.note({ tenantId, id, agent });
    },
  };
}
