import { exactTime } from "../../../lib/audit/audit-rows";
import type { Clock } from "../../../lib/clock";
import type { Log } from "../../../lib/log";
import type { Db } from "../../../lib/postgres/db";

/** A generation that was sealed for its VM and given away. */
export interface Delivery {
  tenantId: string;
  vmId: string;
  agentId: string;
  generation: bigint;
  /** Where the VM fetched it from; undefined: it was handed to rotation ahead, with the news of it. */
  peer: string | undefined;
}

/** Who got what, for the audit: the first time that a replica delivers a generation. */
export interface DeliveryRecords {
  note(delivery: Delivery): void;
  flush(): Promise<void>;
  /** Writes until the signal aborts, and then what is left. */
  run(signal: AbortSignal): Promise<void>;
}

export interface DeliveryRecordsDeps {
  /** Through which audit records are sealed at once. */
  db: Db;
  clock: Clock;
  log: Log;
}

/** A process that is killed loses what it delivered in so long; what was applied the VM says itself. */
const EVERY_MS = 1_000;
const BATCH = 1_000;
/** Remembered as written, or waiting: beyond it the oldest are forgotten, and recorded again. */
const MAX_KNOWN = 100_000;

interface Noted extends Delivery {
  /** By the monotonic clock. */
  atMs: number;
}

/** No fetch waits for the audit, and one that is repeated writes nothing. */
export function createDeliveryRecords({ db, clock, log }: DeliveryRecordsDeps): DeliveryRecords {
  const known = new Set<string>();
  let waiting: Noted[] = [];
  const flush = async () => {
    const all = waiting;
    waiting = [];
    for (let at = 0; at < all.length; at += BATCH)
      await write(db, all.slice(at, at + BATCH), clock.monotonicMs()).catch((error: unknown) => {
        waiting = [...all.slice(at), ...waiting].slice(0, MAX_KNOWN);
        throw error;
      });
  };
  return {
    note(delivery) {
      const { tenantId, vmId, agentId, generation } = delivery;
      const key = `${tenantId}\0${vmId}\0${agentId}\0${String(generation)}`;
      if (known.has(key) || waiting.length >= MAX_KNOWN) return;
      const [oldest] = known;
      if (known.size >= MAX_KNOWN && oldest !== undefined) known.delete(oldest);
      known.add(key);
      waiting.push({ ...delivery, atMs: clock.monotonicMs() });
    },
    flush,
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(EVERY_MS, signal);
        await flush().catch((error: unknown) => {
          log.debug("deliveries could not be audited yet", { error });
        });
      }
    },
  };
}

/** Ages and not times: a replica's clock need not agree with the database's. */
async function write(db: Db, deliveries: readonly Noted[], nowMs: number): Promise<void> {
  if (deliveries.length === 0) return;
  await db.query(
    `insert into catalog.audit (tenant_id, actor_kind, actor_id, peer,
       action, object_kind, object_id, outcome, detail)
     select tenant_id, case when peer is null then 'service' else 'vm' end,
       case when peer is null then 'rotation' else vm_id end,
       coalesce(peer, ''), 'generation.deliver', 'agent', agent_id, 'ok',
       jsonb_build_object('generation', generation, 'vm', vm_id, 'ahead', peer is null,
         'delivered_at', ${exactTime("(clock_timestamp() - age_ms * interval '1 ms')")})
     from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::float8[])
       as d (tenant_id, vm_id, agent_id, generation, peer, age_ms)`,
    [
      ...[deliveries.map((it) => it.tenantId), deliveries.map((it) => it.vmId)],
      ...[deliveries.map((it) => it.agentId), deliveries.map((it) => it.generation)],
      deliveries.map(({ peer }) => peer ?? null),
      deliveries.map(({ atMs }) => Math.max(0, nowMs - atMs)),
    ],
    { name: "audit-deliveries" },
  );
}
