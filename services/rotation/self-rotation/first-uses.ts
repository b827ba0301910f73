import type { Clock } from "../../../lib/clock";
import { leaseOver } from "../../../lib/lease";
import type { Pool } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { writeAudit } from "../audit";
import type { PairStore } from "./store/pair-store";
import type { RegisteredAgentStore } from "./store/registered-agent-store";

export interface FirstUsesDeps {
  pool: Pool;
  agents: Pick<RegisteredAgentStore, "lock">;
  pairs: Pick<PairStore, "confirm">;
  clock: Clock;
}

/** A registered agent's token that is valid and was not used before. */
export interface UnusedToken {
  tenantId: string;
  id: string;
  registeredAgentId: string;
}

/**
 * Notes that a token was used for the first time: the pairs before it end with that, and the answer that
 * it came in can be had no more; no replica calls those pairs valid once this has resolved. Whoever calls looks at the token again: it may have ended meanwhile.
 */
export async function confirmFirstUse(
  { pool, agents, pairs, clock }: FirstUsesDeps,
  { tenantId, id, registeredAgentId }: UnusedToken,
): Promise<void> {
  const isFirst = await withTransactionRetry(pool, async (tx) => {
    const agent = await agents.lock(tx, { tenantId, id: registeredAgentId });
    if (!agent || !(await pairs.confirm(tx, { tenantId, id: agent.id }, id))) return false;
    await writeAudit(tx, { tenantId, kind: "agent", id: agent.id, peer: "" }, [
      {
        ...{ action: "agent.first-use", objectKind: "registered-agent", objectId: agent.id },
        ...{ outcome: "ok", detail: { name: agent.name, token: id } },
      },
    ]);
    return true;
  });
  if (isFirst) await leaseOver(clock);
}
