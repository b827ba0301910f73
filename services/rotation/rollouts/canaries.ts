import { type Clock, systemClock } from "../../../lib/clock";
import { isAppError } from "../../../lib/errors";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { backoffMs, isRetryable } from "../../../lib/retry";
import { leftOutEntry } from "../agents/changed-records";
import type { AgentWriter } from "../agents/store/agent-store";
import { announce } from "../announce/announcement";
import { writeAudit, type Caller } from "../audit";
import {
  nextCanaryStep,
  OWN_NAME,
  rolledBackReason,
  type CanaryStep,
  type OverCanaryStage,
} from "./domain/canary";
import { planRekey } from "./domain/plan-rekey";
import { comingGenerations, joinAbove } from "./open-rollout";
import { takeRolloutBack, type RollbackDeps } from "./rollback";
import { ownRolloutIdOf } from "./rollout-request";
import type { RolloutSignals } from "./rollout-signals";
import { snapshotAgents, withRemovals } from "./snapshot-agents";
import type { CanaryStore, HeldCanary } from "./store/canary-store";
import type { RolloutStore } from "./store/rollout-store";

export interface CanariesDeps extends RollbackDeps {
  writer: RollbackDeps["writer"] & Pick<AgentWriter, "lockSubtrees">;
  canaries: RollbackDeps["canaries"] & CanaryStore;
  rollouts: RollbackDeps["rollouts"] & Pick<RolloutStore, "findTargets">;
  signals: Pick<RolloutSignals, "changed">;
  clock?: Clock;
}

/**
 * Leads rollouts with canaries on: nobody who asked for one has to stay, any replica does it, and one
 * that dies over it is followed by another within 15 s.
 */
export interface Canaries {
  /** One round; returns how many were looked after. */
  lookOnce(): Promise<number>;
  run(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 250;
const BATCH = 20;
/** Longer than a step takes. */
const HOLD_MS = 15_000;
/** What a dependency that is away has to come back in. */
const RETRY_MS = 2_000;
/** Locked and snapshotted in one go. */
const CHUNK = 500;

export function createCanaries(deps: CanariesDeps): Canaries {
  const { clock = systemClock, log } = deps;
  const lookOnce = async () => {
    const held = await deps.canaries.claim(deps.pool, BATCH, HOLD_MS);
    for (const canary of held) await lookAfter(deps, canary);
    return held.length;
  };
  return {
    lookOnce,
    async run(signal) {
      for (let failures = 0; !signal.aborted;) {
        let waitMs = EVERY_MS;
        try {
          await lookOnce();
          failures = 0;
        } catch (error) {
          failures += 1;
          if (failures === 1) log.warn("canaries could not be looked after", { error });
          waitMs = backoffMs(failures, { initialMs: EVERY_MS, maxMs: 10_000 });
        }
        await clock.sleep(waitMs, signal);
      }
    },
  };
}

async function lookAfter(deps: CanariesDeps, canary: HeldCanary): Promise<void> {
  const { tenantId, rolloutId, stage } = canary;
  const step = nextCanaryStep(canary);
  let isDone = true;
  try {
    await take(deps, canary, step);
  } catch (error) {
    deps.log.warn("a canary's next step failed", { tenantId, rolloutId, stage, error });
    if (isRetryable(error)) isDone = false;
    else await end(deps, canary, "stopped", stopReason(canary, error));
  }
  await deps.canaries.letGo(deps.pool, canary, isDone ? EVERY_MS : RETRY_MS);
  if (step.kind !== "nothing") deps.signals.changed({ tenantId, rolloutId });
}

async function take(deps: CanariesDeps, canary: HeldCanary, step: CanaryStep): Promise<void> {
  switch (step.kind) {
    case "nothing":
      return;
    case "enter": {
      const { stage: to, reason } = step;
      const forMs = to === "waiting" ? canary.thenWaitMs : 0;
      await deps.canaries.enter(deps.pool, canary, { from: canary.stage, to, reason, forMs });
      return;
    }
    case "end":
      await end(deps, canary, step.stage, step.reason);
      return;
    case "follow":
      if (canary.waitingIds.length > 0) await follow(deps, canary);
      else await end(deps, canary, "passed", "");
      return;
    case "roll-back":
      await rollBack(deps, canary);
  }
}

/** Nobody asks: the service does it by itself. */
function callerWithin({ tenantId }: HeldCanary): Caller {
  return { tenantId, kind: "service", id: OWN_NAME, peer: "" };
}

async function end(
  deps: CanariesDeps,
  canary: HeldCanary,
  to: OverCanaryStage,
  reason: string,
): Promise<void> {
  const { rolloutId, stage: from } = canary;
  await withTransactionRetry(deps.pool, async (tx) => {
    if (!(await deps.canaries.end(tx, canary, { from, to, reason, forMs: 0 }))) return;
    const outcome = to === "passed" ? "ok" : "refused";
    const entry = { action: "rollout.canary", objectKind: "rollout", objectId: rolloutId };
    await writeAudit(tx, callerWithin(canary), [
      { ...entry, outcome, detail: { stage: to, reason } },
    ]);
  });
}

/** A repeated attempt finds the first one's rollback by its id. */
async function rollBack(deps: CanariesDeps, canary: HeldCanary): Promise<void> {
  const { tenantId, rolloutId, reason } = canary;
  const id = await takeRolloutBack(deps, callerWithin(canary), {
    ...{ id: ownRolloutIdOf(tenantId, "canary", rolloutId), rolloutId, requestId: "" },
    reason: `canary: ${reason}`.slice(0, 500),
    assertMay: () => undefined,
    keepsLater: true,
  });
  const targets = await deps.rollouts.findTargets(tenantId, id);
  await end(deps, canary, "rolled-back", rolledBackReason(canary, targets));
}

function stopReason({ stage, reason }: HeldCanary, error: unknown): string {
  const why = isAppError(error) ? error.message : "an internal error";
  if (stage === "rolling-back") return `${reason}; the canaries were NOT taken back: ${why}`;
  return reason === "" ? why : reason;
}

async function follow(deps: CanariesDeps, canary: HeldCanary): Promise<void> {
  const { tenantId, rolloutId } = canary;
  const ids = canary.waitingIds.slice(0, CHUNK);
  const caller = callerWithin(canary);
  const taken = await withRemovals(deps, async () => {
    const agents = await deps.agents.findAll(tenantId, ids);
    return { agents, ...(await snapshotAgents(deps, caller, { rolloutId, agents })) };
  });
  const snapshots = new Map(taken.snapshots.map((it) => [it.agentId, it]));
  deps.announcer.foretell(comingGenerations(taken));
  // Those below them who are still to follow get their target when they have their generation.
  const later = new Set(canary.waitingIds.slice(CHUNK));
  const announcements = await withTransactionRetry(deps.pool, async (tx) => {
    const locked = await deps.writer.lockSubtrees(tx, tenantId, ids);
    const now = locked.filter(({ id }) => !later.has(id));
    const plan = planRekey(now, snapshots, taken.leftOut);
    const told = announce(rolloutId, plan.raised);
    const followers = { ids, plan };
    const audit = [...taken.leftOut].map(([agentId, reason]) => leftOutEntry(agentId, reason));
    const beside = { caller, audit, announcements: told };
    if (!(await deps.canaries.follow(tx, canary, followers, beside))) return [];
    await joinAbove(deps.rollouts, tx, plan, taken.snapshots);
    return told;
  });
  deps.announcer.deliver(announcements);
}
