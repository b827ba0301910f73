import { type Clock, systemClock } from "../../../lib/clock";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { isAppError } from "../../../lib/errors";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { isRetryable } from "../../../lib/retry";
import type { Caller } from "../audit";
import { needsNewSnapshot } from "../protocol";
import { generationOrNone, type Agent } from "./domain/agent";
import type { RolloutStore } from "../rollouts/store/rollout-store";
import { giveGeneration, type GiveGenerationDeps } from "./give-generation";
import { agentKey, type AgentStore, type AgentWriter } from "./store/agent-store";

export interface MissingGenerationsDeps extends GiveGenerationDeps {
  agents: Pick<AgentStore, "findWithoutGeneration" | "findRefused">;
  writer: Pick<AgentWriter, "lockTree" | "lockAgent" | "end">;
  rollouts: GiveGenerationDeps["rollouts"] & Pick<RolloutStore, "rolledBackTo">;
  clock?: Clock;
}

/**
 * Finishes spawns that a replica began and did not live to finish, and replaces generations that
 * the catalog no longer has.
 */
export interface MissingGenerations {
  /** One round; returns how many agents it found. */
  giveOnce(): Promise<number>;
  run(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 1_000;
/** Longer than a spawn that is still on its way takes. */
const STUCK_AFTER_MS = 15_000;
const BATCH = 50;
/** An agent that cannot be given a generation is looked at again after this long. */
const REFUSED_PAUSE_MS = 30_000;
/** One whose record was changed stays as it is: each look is an alarm and a row of the audit. */
const CHANGED_PAUSE_MS = 600_000;
/** What a VM says when the catalog has no such generation for it. */
const REFUSED_REASON = "fetch: the generation is not available";

export function createMissingGenerations(deps: MissingGenerationsDeps): MissingGenerations {
  const { clock = systemClock, log } = deps;
  const pausedUntilMs = new Map<string, number>();
  const give = async (agent: Agent, requestId: string) => {
    const outcome = await giveOrEnd(deps, agent, requestId);
    if (outcome === "given" || outcome === "later") return;
    const pauseMs = outcome === "changed" ? CHANGED_PAUSE_MS : REFUSED_PAUSE_MS;
    pausedUntilMs.set(agentKey(agent), clock.monotonicMs() + pauseMs);
  };
  /** Whom to leave alone; the others are forgotten, so that no agent that is over is kept. */
  const paused = () => {
    const nowMs = clock.monotonicMs();
    for (const [key, untilMs] of pausedUntilMs) if (untilMs <= nowMs) pausedUntilMs.delete(key);
    return [...pausedUntilMs.keys()];
  };
  const giveOnce = async () => {
    const before = new Date(clock.now().getTime() - STUCK_AFTER_MS);
    const stuck = await deps.agents.findWithoutGeneration(before, BATCH, paused());
    for (const agent of stuck) await give(agent, `${agent.id}:spawn`);
    const refused = await deps.agents.findRefused(REFUSED_REASON, BATCH, paused());
    const gone = refused.filter(({ desired, failure }) =>
      needsNewSnapshot(generationOrNone(desired), failure?.generation ?? 0n),
    );
    for (const agent of gone) await give(agent, goneRequestId(agent));
    return stuck.length + gone.length;
  };
  return {
    giveOnce,
    async run(signal) {
      for (;;) {
        await clock.sleep(EVERY_MS, signal);
        if (signal.aborted) return;
        await giveOnce().catch((error: unknown) => {
          log.warn("agents without a generation could not be read", { error });
        });
      }
    },
  };
}

/**
 * Another for each failure: after a restore of the catalog it takes as many snapshots as were lost
 * until one is beyond what was desired.
 */
function goneRequestId({ id, desired, failure }: Agent): string {
  return `${id}:gone:${desired}:${failure?.at.getTime() ?? 0}`;
}

/** Nobody asked: the service does it by itself. */
function callerWithin(tenantId: string): Caller {
  return { tenantId, kind: "service", id: "rotation", peer: "" };
}

/** What the catalog says when it has nothing that an agent could be taken back to. */
const NOTHING_KEPT: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.ERROR_REASON_NOTHING_TO_ROLL_BACK,
  ErrorReason.ERROR_REASON_GENERATION_NOT_AVAILABLE,
]);

/** In place of a rollback's generation comes one with the same pins, so long as they are kept. */
async function giveAgain(
  deps: MissingGenerationsDeps,
  agent: Agent,
  requestId: string,
): Promise<void> {
  const { tenantId, id, desired } = agent;
  const caller = callerWithin(tenantId);
  const rollbackTo = await deps.rollouts.rolledBackTo(tenantId, id, desired);
  try {
    const wish = rollbackTo === undefined ? { requestId } : { requestId, rollbackTo };
    await giveGeneration(deps, caller, agent, wish);
  } catch (error) {
    if (rollbackTo === undefined || !isAppError(error) || !NOTHING_KEPT.has(error.reason))
      throw error;
    deps.log.warn("agent cannot be taken back any more", { tenantId, agentId: id, error });
    await giveGeneration(deps, caller, agent, { requestId: `${requestId}:current` });
  }
}

async function giveOrEnd(
  deps: MissingGenerationsDeps,
  agent: Agent,
  requestId: string,
): Promise<"given" | "later" | "refused" | "changed"> {
  const { tenantId, id } = agent;
  const { bindings, log } = deps;
  const refused = bindings.isGenuine(agent) ? "refused" : "changed";
  try {
    await giveAgain(deps, agent, requestId);
    log.info("agent was given a missing generation", { tenantId, agentId: id });
    return "given";
  } catch (error) {
    if (isRetryable(error)) return "later";
    log.warn("agent cannot be given an environment", { tenantId, agentId: id, error });
    if (agent.desired > 0n) return refused; // It lives on with the set that it has.
    const value = isAppError(error) ? error.message : "its environment could not be made";
    const exit = { kind: "unknown" as const, value };
    await withTransactionRetry(deps.pool, (tx) =>
      deps.writer.end(tx, [{ tenantId, id, phase: "failed", exit }]),
    );
    return refused;
  }
}
