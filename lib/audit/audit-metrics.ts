import { metrics, type BatchObservableCallback } from "@opentelemetry/api";
import type { Log } from "../log";
import type { Db } from "../postgres/db";
import type { AuditSchema } from "./audit-rows";

/** How a service's audit is. Counts nothing, and costs nothing, until telemetry has been started. */
export interface AuditMetrics {
  /** Records were sealed, the oldest of them so long after it was written, by the database's clock. */
  sealed(oldestMs: number): void;
  /** Sealing failed once; it is tried again. */
  failed(): void;
  /** Gauges of the whole service, read when they are exported; each replica shows the same. */
  run(signal: AbortSignal): Promise<void>;
}

/** What waits to be sealed. */
export interface AuditBacklog {
  /** At most MAX_COUNTED. */
  records: number;
  /** Age of the oldest; 0: none waits. */
  oldestSeconds: number;
}

const MAX_COUNTED = 100_000;

/** One look, by the database's clock. Counts no further than MAX_COUNTED. */
export async function readAuditBacklog(db: Db, schema: AuditSchema): Promise<AuditBacklog> {
  const { rows } = await db.query<{ records: bigint; oldest: number }>(
    `select count(*) as records,
       coalesce(extract(epoch from clock_timestamp() - min(at)), 0)::float8 as oldest
     from (select a.at from ${schema}.audit a
       left join ${schema}.audit_sealer s on true
       where (a.xid, a.id) > (coalesce(s.cursor_xid, '0'), coalesce(s.cursor_id, -1))
         and not exists (select from ${schema}.audit_chain c
           where c.tenant_id = a.tenant_id and c.audit_id = a.id)
       limit $1) as waiting`,
    [MAX_COUNTED],
    { name: `audit-backlog-${schema}` },
  );
  return { records: Number(rows[0]?.records ?? 0), oldestSeconds: rows[0]?.oldest ?? 0 };
}

export function createAuditMetrics({
  db,
  schema: service,
  log,
}: {
  db: Db;
  schema: AuditSchema;
  log: Log;
}): AuditMetrics {
  const meter = metrics.getMeter("murmur");
  const attributes = { service };
  const lag = meter.createHistogram("murmur.audit.seal.lag", {
    unit: "ms",
    description: "From writing a record to sealing it: of the oldest of each step",
  });
  const failures = meter.createCounter("murmur.audit.seal.failures", {
    description: "Steps of sealing that failed and are tried again",
  });
  const backlog = meter.createObservableGauge("murmur.audit.backlog", {
    description: `Records that are not sealed yet, ${MAX_COUNTED} at most`,
  });
  const oldest = meter.createObservableGauge("murmur.audit.backlog.oldest", {
    unit: "s",
    description: "Age of the oldest record that is not sealed yet",
  });
  const observe: BatchObservableCallback = async (result) => {
    try {
      const { records, oldestSeconds } = await readAuditBacklog(db, service);
      result.observe(backlog, records, attributes);
      result.observe(oldest, oldestSeconds, attributes);
    } catch (error) {
      log.warn("what waits to be sealed could not be read for metrics", { error });
    }
  };
  return {
    sealed(oldestMs) {
      lag.record(Math.max(0, oldestMs), attributes);
    },
    failed() {
      failures.add(1, attributes);
    },
    run(signal) {
      meter.addBatchObservableCallback(observe, [backlog, oldest]);
      return new Promise((resolve) => {
        const stop = () => {
          meter.removeBatchObservableCallback(observe, [backlog, oldest]);
          resolve();
        };
        if (signal.aborted) stop();
        else signal.addEventListener("abort", stop, { once: true });
      });
    },
  };
}
