import { type Clock, systemClock } from "../../../../lib/clock";
import { isAppError } from "../../../../lib/errors";
import type { Db } from "../../../../lib/postgres/db";
import { backoffMs } from "../../../../lib/retry";
import type { By } from "../issue-credential";
import type { CredentialRef } from "../store/credential-store";
import type { EvidenceCase } from "./domain/evidence-case";
import { createEvidenceMetrics } from "./evidence-metrics";
import { leadCase } from "./lead-case";
import { rotateCarried, type RotateCarriedDeps, type RotateCarriedRequest } from "./rotate-carried";
import { postgresCaseStore } from "./store/postgres-case-store";
import type { HeldCase } from "./store/case-store";

/** For how long nobody may have used an old value before it is ended on evidence. */
export const DEFAULT_QUIET_MS = 60_000;

export type EvidenceDeps = Omit<RotateCarriedDeps, "cases" | "metrics" | "quietMs" | "clock"> & {
  quietMs?: number | undefined;
  clock?: Clock;
};

/** Rotations whose old credential ends on evidence: docs/decisions/0012. */
export interface Evidence {
  rotate(by: By, request: RotateCarriedRequest): ReturnType<typeof rotateCarried>;
  /** The latest of an old credential; undefined: it was not rotated so. */
  find(db: Db, ref: CredentialRef): Promise<EvidenceCase | undefined>;
  /** One round; returns how many cases were led on. */
  leadOnce(): Promise<number>;
  /** Leads all on until the signal aborts. Every replica does; a case is one's at a time. */
  run(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 250;
const BATCH = 20;
/** Longer than a step takes. */
const HOLD_MS = 15_000;
/** What a dependency that is away has to come back in. */
const RETRY_MS = 2_000;
const MAX_PAUSE_MS = 5_000;

export function createEvidence(wish: EvidenceDeps): Evidence {
  const { clock = systemClock, quietMs = DEFAULT_QUIET_MS, log } = wish;
  const cases = postgresCaseStore;
  const deps = { ...wish, cases, quietMs, clock, metrics: createEvidenceMetrics() };
  const lead = async (held: HeldCase) => {
    let pauseMs = pauseOf(held);
    try {
      await leadCase(deps, held);
    } catch (error) {
      const { tenantId, credentialId } = held;
      log.warn("the rotation of a credential waits", { tenantId, credentialId, error });
      await cases.noteProblem(deps.pool, held, problemOf(error));
      pauseMs = RETRY_MS;
    }
    await cases.letGo(deps.pool, held, pauseMs);
  };
  const leadOnce = async () => {
    const held = await cases.claim(deps.pool, BATCH, HOLD_MS);
    await Promise.all(held.map(lead));
    return held.length;
  };
  return {
    rotate: (by, request) => rotateCarried(deps, by, request),
    find: (db, ref) => cases.findLatest(db, ref),
    leadOnce,
    async run(signal) {
      for (let failures = 0; !signal.aborted;) {
        let waitMs = EVERY_MS;
        try {
          await leadOnce();
          failures = 0;
        } catch (error) {
          failures += 1;
          if (failures === 1) log.warn("rotations with evidence could not be led on", { error });
          waitMs = backoffMs(failures, { initialMs: EVERY_MS, maxMs: 10_000 });
        }
        await clock.sleep(waitMs, signal);
      }
    },
  };
}

/** Often while most are likely to come, and seldom when some take days. */
function pauseOf({ ageMs }: HeldCase): number {
  return Math.min(Math.max(ageMs / 30, EVERY_MS), MAX_PAUSE_MS);
}

/** Shown to whoever may see the credential. */
function problemOf(error: unknown): string {
  return isAppError(error) ? error.message : "an internal error";
}
