import { type Clock, systemClock } from "../../../../lib/clock";
import { type Log, silentLog } from "../../../../lib/log";
import type { Db } from "../../../../lib/postgres/db";
import type { Credential } from "../domain/credential";

/** When credentials were last found valid, gathered: a busy one costs a row every half minute. */
export interface CredentialUses {
  note(credential: Credential): void;
  flush(): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 5_000;
const MAX_NOTED = 100_000;
const BATCH = 1_000;

interface Use {
  tenantId: string;
  id: string;
  /** By the monotonic clock. */
  lastMs: number;
}

export function createCredentialUses({
  db,
  clock = systemClock,
  log = silentLog,
}: {
  db: Db;
  clock?: Clock;
  log?: Log;
}): CredentialUses {
  let uses = new Map<string, Use>();
  const flush = async () => {
    const batch = [...uses.values()];
    uses = new Map();
    for (let at = 0; at < batch.length; at += BATCH)
      await write(db, batch.slice(at, at + BATCH), clock.monotonicMs()).catch((error: unknown) => {
        for (const use of batch.slice(at)) if (!uses.has(use.id)) uses.set(use.id, use);
        throw error;
      });
  };
  return {
    note({ tenantId, id }) {
      const known = uses.get(id);
      if (known) known.lastMs = clock.monotonicMs();
      else if (uses.size < MAX_NOTED) uses.set(id, { tenantId, id, lastMs: clock.monotonicMs() });
    },
    flush,
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(EVERY_MS, signal);
        // Also after the signal: the last uses are known then.
        await flush().catch((error: unknown) => {
          log.debug("uses of credentials could not be written yet", { error });
        });
      }
    },
  };
}

/** Ages and not times: replicas' clocks need not agree with the database's. */
async function write(db: Db, uses: readonly Use[], nowMs: number): Promise<void> {
  if (uses.length === 0) return;
  await db.query(
    `update rotation.credentials c
     set last_used_at = greatest(c.last_used_at, clock_timestamp() - u.age_ms * interval '1 ms')
     from unnest($1::text[], $2::uuid[], $3::float8[]) as u (tenant_id, credential_id, age_ms)
     where c.tenant_id = u.tenant_id and c.credential_id = u.credential_id
       and (c.last_used_at is null or
         c.last_used_at < clock_timestamp() - (u.age_ms + 30000) * interval '1 ms')`,
    [
      uses.map(({ tenantId }) => tenantId),
      uses.map(({ id }) => id),
      uses.map(({ lastMs }) => Math.max(0, nowMs - lastMs)),
    ],
    { name: "note_credential_uses" },
  );
}
