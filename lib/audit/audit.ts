import type { AuditServiceService } from "../../gen/murmur/audit/v1/audit";
import { type Clock, systemClock } from "../clock";
import type { HandlersOf } from "../grpc/definition";
import type { RefusedCall } from "../grpc/run-call";
import type { KeySet } from "../identity/key-set";
import type { SigningKey } from "../identity/signing-key";
import { type Log, silentLog } from "../log";
import type { Pool } from "../postgres/db";
import { createKeptConnection } from "../postgres/kept-connection";
import { createAuditMetrics } from "./audit-metrics";
import type { AuditSchema } from "./audit-rows";
import { createGatheredRecords, type GatheredRecord } from "./gathered-records";
import { refusalOf } from "./refusals";
import { createAuditService } from "./rpc/audit-service";
import { createSealer } from "./sealer";
import { watchAudit } from "./watch-audit";

export interface AuditDeps {
  pool: Pool;
  schema: AuditSchema;
  signingKey: SigningKey;
  keySet: KeySet;
  clock?: Clock;
  log?: Log;
}

export type GatherRecord = (record: GatheredRecord) => void;

/** A service's audit, beside the records that its own statements write. */
export interface Audit {
  /** The pool through which these are written: they are sealed as soon as they are committed. */
  pool: Pool;
  onRefused: (refused: RefusedCall) => void;
  /** For what changes nothing: written within a second, many as one row with a count. */
  gather: GatherRecord;
  handlers: HandlersOf<typeof AuditServiceService>;
  /** Seals, and writes what was gathered, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createAudit(deps: AuditDeps): Audit {
  const { schema, signingKey, clock = systemClock, log = silentLog } = deps;
  // Its own: records are sealed in time however many callers wait for a connection.
  const db = createKeptConnection(deps.pool);
  const metrics = createAuditMetrics({ db: deps.pool, schema, log });
  const sealer = createSealer({ db, schema, signingKey, clock, log, metrics });
  const pool = watchAudit(deps.pool, schema, () => {
    sealer.wake();
  });
  const gathered = createGatheredRecords({ db: pool, schema, clock, log });
  return {
    pool,
    onRefused: (refused) => {
      gathered.note(refusalOf(refused));
    },
    gather: (record) => {
      gathered.note(record);
    },
    handlers: createAuditService({ ...deps, db: pool }),
    async run(signal) {
      const sealing = sealer.run(signal).finally(() => {
        db.release();
      });
      await Promise.all([sealing, gathered.run(signal), metrics.run(signal)]);
    },
  };
}
