import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../clock";
import type { SigningKey } from "../identity/signing-key";
import { type Log, silentLog } from "../log";
import type { Db } from "../postgres/db";
import { createWakeableSleep } from "../postgres/wakeable-sleep";
import { backoffMs } from "../retry";
import type { AuditMetrics } from "./audit-metrics";
import type { AuditSchema } from "./audit-rows";
import { createSealerStore } from "./sealer-store";
import { createTenure, type Tenure } from "./tenure";

export interface SealerOptions {
  db: Db;
  /** Whose records; also the service's name in what is hashed and signed. */
  schema: AuditSchema;
  signingKey: Pick<SigningKey, "kid" | "privateKey">;
  leaseMs?: number;
  /** Most records of one statement. */
  batch?: number;
  clock?: Clock;
  log?: Log;
  metrics?: Pick<AuditMetrics, "sealed" | "failed">;
}

export interface Sealer {
  /** Whether this process sealed when it last looked. */
  isHolder(): boolean;
  /** There are new records: for whoever has committed them. */
  wake(): void;
  /** Seals until the signal aborts, then lets another take over. */
  run(signal: AbortSignal): Promise<void>;
}

/** More records come together in the time that sealing one takes. */
const GATHER_MS = 15;

/**
 * Links the records of a service into a hash chain for each tenant and signs states of the chains,
 * in one process at a time. Every step is one statement that the lease's holder alone can do, so that
 * one that dies or freezes anywhere leaves whole chains, and another goes on from there.
 */
export function createSealer(options: SealerOptions): Sealer {
  const { db, schema, signingKey, metrics } = options;
  const { clock = systemClock, log = silentLog, leaseMs = 3_000, batch = 1_000 } = options;
  const store = createSealerStore({ db, schema, holder: randomUUID(), leaseMs });
  const pause = createWakeableSleep(clock);
  let tenure: Tenure | undefined;
  let askedMs = -Infinity;

  /** Sees that we hold the lease, asking the database a few times in the lease's length. */
  const hold = async (): Promise<Tenure | undefined> => {
    const startMs = clock.monotonicMs();
    if (tenure && startMs - askedMs < leaseMs / 3) return tenure;
    const held = await store.hold();
    if (!tenure !== !held) log.info("audit sealer lease", { schema, holds: !!held });
    askedMs = startMs;
    if (!held) return undefined;
    if (tenure?.isSame(held) !== true || held.restored !== "not")
      tenure = createTenure(
        { store, schema, signingKey, batch, clock, ...(metrics && { metrics }) },
        held,
      );
    if (held.restored === "not") return tenure;
    log.error("the database was restored: the audit begins a new epoch", { schema });
    await tenure.startEpoch();
    return undefined;
  };
  /** How long to wait before the next. */
  const step = async (): Promise<number> => {
    tenure = await hold();
    if (!tenure) return leaseMs / 5;
    const waitMs = await tenure.step();
    if (waitMs === undefined) tenure = undefined;
    return waitMs ?? 0;
  };
  return {
    isHolder: () => tenure !== undefined,
    wake: () => {
      if (tenure) pause.wake();
    },
    async run(signal) {
      let failures = 0;
      while (!signal.aborted) {
        let waitMs: number;
        try {
          waitMs = await step();
          failures = 0;
        } catch (error) {
          failures += 1;
          // What became of the last statement is not known: everything is read again.
          tenure = undefined;
          log.warn("audit records could not be sealed", { error });
          metrics?.failed();
          waitMs = backoffMs(failures, { maxMs: leaseMs / 5 });
        }
        if (waitMs === 0) continue;
        await pause.sleep(waitMs, signal);
        await clock.sleep(GATHER_MS, signal);
      }
      tenure = undefined;
      // Without it another takes over when the lease is over.
      await store.release().catch(() => undefined);
    },
  };
}
