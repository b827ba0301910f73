import type { AuditServiceService } from "../../gen/murmur/audit/v1/audit";
import { type Clock, systemClock } from "../clock";
import type { HandlersOf } from "../grpc/definition";
import type { RefusedCall } from "../grpc/run-call";
import type { KeySet } from "../identity/key-set";
import type { SigningKey } from "../identity/signing-key";
import { type Log, silentLog } from "../log";
import type { Pool } from "../postgres/db";
import { createKeptConnection } from "../postgres/kept-connection";
import type { AuditSchema } from "./audit-rows";
import { createRefusals } from "./refusals";
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

/** A service's audit, beside the records that its own statements write. */
export interface Audit {
  /** The pool through which these are written: they are sealed as soon as they are committed. */
  pool: Pool;
  onRefused: (refused: RefusedCall) => void;
  handlers: HandlersOf<typeof AuditServiceService>;
  /** Seals, and writes refusals, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createAudit(deps: AuditDeps): Audit {
  const { schema, signingKey, clock = systemClock, log = silentLog } = deps;
  // Its own: records are sealed in time however many callers wait for a connection.
  const db = createKeptConnection(deps.pool);
  const sealer = createSealer({ db, schema, signingKey, clock, log });
  const pool = watchAudit(deps.pool, schema, () => {
    sealer.wake();
  });
  const refusals = createRefusals({ db: pool, schema, clock, log });
  return {
    pool,
    onRefused: (refused) => {
      refusals.note(refused);
    },
    handlers: createAuditService({ ...deps, db: pool }),
    async run(signal) {
      const sealing = sealer.run(signal).finally(() => {
        db.release();
      });
      await Promise.all([sealing, refusals.run(signal)]);
    },
  };
}
