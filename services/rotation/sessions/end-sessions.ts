import type { Clock } from "../../../lib/clock";
import { leaseOver } from "../../../lib/lease";
import type { Pool } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { type Caller, writeAudit } from "../audit";
import type { SessionStore } from "./store/session-store";

export interface EndSessionsDeps {
  pool: Pool;
  sessions: SessionStore;
  clock: Clock;
}

/**
 * Ends one session of the caller's, or all of them (undefined); returns how many. No replica calls one valid
 * once this has resolved.
 */
export async function endSessions(
  { pool, sessions, clock }: EndSessionsDeps,
  caller: Caller,
  id: string | undefined,
): Promise<number> {
  const ended = await withTransactionRetry(pool, async (tx) => {
    const ids = await sessions.end(tx, { tenantId: caller.tenantId, owner: caller.id }, id);
    const entry = { action: "session.revoke", objectKind: "session", outcome: "ok" } as const;
    if (ids.length > 0)
      await writeAudit(
        tx,
        caller,
        ids.map((objectId) => ({ ...entry, objectId })),
      );
    return ids.length;
  });
  // Also when there was none: somebody else may have ended it a moment ago.
  await leaseOver(clock);
  return ended;
}
