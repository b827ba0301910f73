import { type Clock, systemClock } from "../../../lib/clock";
import { isAppError } from "../../../lib/errors";
import { type Log, silentLog } from "../../../lib/log";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { isRetryable } from "../../../lib/retry";
import type { Agent } from "./domain/agent";
import { giveFirstGeneration, type FirstGenerationDeps } from "./first-generation";
import type { AgentStore, AgentWriter } from "./store/agent-store";

export interface StuckSpawnsDeps extends FirstGenerationDeps {
  agents: Pick<AgentStore, "findWithoutGeneration">;
  writer: Pick<AgentWriter, "lockTree" | "lockAgent" | "end">;
  clock?: Clock;
  log?: Log;
}

/** Finishes spawns that a replica began and did not live to finish. */
export interface StuckSpawns {
  /** One round; returns how many agents it found. */
  finishOnce(): Promise<number>;
  run(signal: AbortSignal): Promise<void>;
}

const EVERY_MS = 2_000;
/** Longer than a spawn that is still on its way takes. */
const STUCK_AFTER_MS = 15_000;
const BATCH = 50;

export function createStuckSpawns(deps: StuckSpawnsDeps): StuckSpawns {
  const { clock = systemClock, log = silentLog } = deps;
  const finishOnce = async () => {
    const before = new Date(clock.now().getTime() - STUCK_AFTER_MS);
    const stuck = await deps.agents.findWithoutGeneration(before, BATCH);
    for (const agent of stuck) await finish(deps, agent, log);
    return stuck.length;
  };
  return {
    finishOnce,
    async run(signal) {
      for (;;) {
        await clock.sleep(EVERY_MS, signal);
        if (signal.aborted) return;
        await finishOnce().catch((error: unknown) => {
          log.warn("unfinished spawns could not be read", { error });
        });
      }
    },
  };
}

async function finish(deps: StuckSpawnsDeps, agent: Agent, log: Log): Promise<void> {
  const { tenantId, id } = agent;
  try {
    await giveFirstGeneration(deps, agent);
    log.info("unfinished spawn was finished", { tenantId, agentId: id });
  } catch (error) {
    if (isRetryable(error)) return; // The next round tries again.
    log.warn("agent cannot be given an environment", { tenantId, agentId: id, error });
    const value = isAppError(error) ? error.message : "its environment could not be made";
    const exit = { kind: "unknown" as const, value };
    await withTransactionRetry(deps.pool, (tx) =>
      deps.writer.end(tx, [{ tenantId, id, phase: "failed", exit }]),
    );
  }
}
