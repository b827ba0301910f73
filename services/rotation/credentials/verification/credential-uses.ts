import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../../../../lib/clock";
import { type Log, silentLog } from "../../../../lib/log";
import type { Db } from "../../../../lib/postgres/db";
import { MAX_LEASED_MS } from "../../../../verifier/change-lease";
import type { Credential } from "../domain/credential";

/**
 * When credentials were last found valid, gathered: a busy one costs a row every 20 s, one that
 * is replaced a row with each flush. With each flush a replica says up to when its uses are known: what
 * was used since, nobody else can tell.
 */
export interface CredentialUses {
  note(credential: Credential): void;
  /** Before a value is called valid: undefined, or a wait until others know that this replica does so. */
  join(): Promise<void> | undefined;
  flush(): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 5_000;
const MAX_NOTED = 100_000;
const BATCH = 1_000;

/** No replica calls a value valid that has not said for so long up to when its uses are known. */
export const MAX_REPORT_AGE_MS = 15_000;
/** A use so soon after the last that was written is not written while the credential is not replaced. */
const UNWRITTEN_MS = 20_000;
/** How much later than is written it may have been used while it was not replaced: services remember it, too. */
export const UNSEEN_MS = UNWRITTEN_MS + MAX_LEASED_MS;

interface Use {
  tenantId: string;
  id: string;
  /** By the monotonic clock. */
  lastMs: number;
}

export interface CredentialUsesDeps {
  db: Db;
  /** Of this replica, since it was started. */
  replicaId?: string;
  clock?: Clock;
  log?: Log;
}

export function createCredentialUses(deps: CredentialUsesDeps): CredentialUses {
  const { db, replicaId = randomUUID(), clock = systemClock, log = silentLog } = deps;
  let uses = new Map<string, Use>();
  /** By the monotonic clock: everything before is known. */
  let reportedMs = -Infinity;
  let joining: Promise<void> | undefined;
  let flushing: Promise<void> | undefined;

  const flushOnce = async () => {
    const batch = [...uses.values()];
    const knownMs = clock.monotonicMs();
    uses = new Map();
    for (let at = 0; at < batch.length; at += BATCH)
      await write(db, batch.slice(at, at + BATCH), clock.monotonicMs()).catch((error: unknown) => {
        for (const use of batch.slice(at)) if (!uses.has(use.id)) uses.set(use.id, use);
        throw error;
      });
    await report(db, replicaId, clock.monotonicMs() - knownMs);
    reportedMs = Math.max(reportedMs, knownMs);
  };
  /** One at a time: a later one must not tell of uses that an earlier one is still writing. */
  const flush = async () => {
    while (flushing) await flushing.catch(() => undefined);
    flushing = flushOnce().finally(() => (flushing = undefined));
    return flushing;
  };
  return {
    note({ tenantId, id, replacedBy }) {
      const known = uses.get(id);
      if (known) known.lastMs = clock.monotonicMs();
      // Of one that is replaced none may be missed: it would be ended under whoever uses it.
      else if (uses.size < MAX_NOTED || replacedBy !== undefined)
        uses.set(id, { tenantId, id, lastMs: clock.monotonicMs() });
    },
    join() {
      if (clock.monotonicMs() - reportedMs <= MAX_REPORT_AGE_MS) return undefined;
      return (joining ??= flush().finally(() => (joining = undefined)));
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
       and (c.last_used_at is null or c.replaced_by is not null or
         c.last_used_at < clock_timestamp() - (u.age_ms + ${UNWRITTEN_MS}) * interval '1 ms')`,
    [
      uses.map(({ tenantId }) => tenantId),
      uses.map(({ id }) => id),
      uses.map(({ lastMs }) => Math.max(0, nowMs - lastMs)),
    ],
    { name: "note_credential_uses" },
  );
}

/** This replica lives, and its uses are known up to so long ago. */
async function report(db: Db, replicaId: string, ageMs: number): Promise<void> {
  await db.query(
    `insert into rotation.credential_use_reports as r (replica_id, known_at)
     values ($1, clock_timestamp() - $2::float8 * interval '1 ms')
     on conflict (replica_id) do update
     set known_at = excluded.known_at, reported_at = clock_timestamp()`,
    [replicaId, ageMs],
    { name: "report_credential_uses" },
  );
}
