import { type RolloutServiceService } from "../../gen/murmur/rotation/v1/rollouts";
import { type Clock } from "../../lib/clock";
import { isAppError } from "../../lib/errors";
import { type ClientOf } from "../../lib/grpc/client";
import { type ProcessView, type ReloadView } from "../agents/agent-view";
import { isOn } from "../agents/evidence-words";
import { processToJson } from "../agents/process-to-json";
import { toProcessView, toReloadView } from "../agents/rotation-agent-keeper";

/** An agent of a rollout with its processes. */
export interface AgentProcesses {
  path: string;
  generation: number;
  processes: ProcessView[];
  /** Whether its VM has told of them since it acked. */
  isCurrent: boolean;
  /** How they were told of it; undefined where there was nothing to tell. */
  reload: ReloadView | undefined;
}

export interface WaitDeps {
  rollouts: Pick<ClientOf<typeof RolloutServiceService>, "listRolloutProcesses">;
  clock: Clock;
  /** Ends the wait without an error. */
  signal: AbortSignal;
}

const EVERY_MS = 200;
/** A program that was just started has left no receipt yet; one that never will keeps nobody waiting. */
const SILENT_MS = 2_000;

/**
 * Waits until every process of the rollout's agents has taken the new set over or reads through,
 * or only such remain as cannot be told, and until every signal and hook that tells programs of it
 * has ended. Returns what was known last.
 */
export async function waitForProcesses(
  { rollouts, clock, signal }: WaitDeps,
  rolloutId: string,
): Promise<AgentProcesses[]> {
  // Aborts while the loop waits.
  const isOver = () => signal.aborted;
  let known: AgentProcesses[] | undefined;
  let silentSinceMs: number | undefined;
  while (!isOver()) {
    try {
      const { agents } = await rollouts.listRolloutProcesses({ rolloutId }, { signal });
      known = agents.map((agent) => ({
        path: agent.path,
        generation: Number(agent.generation),
        processes: agent.processes.map(toProcessView),
        isCurrent: agent.isCurrent,
        reload: agent.reload && toReloadView(agent.reload),
      }));
    } catch (error) {
      if (!isOver() && !isAppError(error, "UNAVAILABLE")) throw error;
    }
    const missing = known?.flatMap(missingOf) ?? [];
    const isTold = known?.every((agent) => agent.isCurrent && !isReloading(agent)) ?? false;
    if (isTold && missing.length === 0) break;
    const onlySilent = isTold && missing.every(({ generation }) => generation === 0);
    silentSinceMs = onlySilent ? (silentSinceMs ?? clock.monotonicMs()) : undefined;
    if (silentSinceMs !== undefined && clock.monotonicMs() - silentSinceMs >= SILENT_MS) break;
    await clock.sleep(EVERY_MS, signal);
  }
  return known ?? [];
}

/** Processes of which it is not known that they have the new set. */
export function missingOf({ processes, generation }: AgentProcesses): ProcessView[] {
  return processes.filter((process) => !isOn(process, generation));
}

/** Whether its signal or hook is still under way. */
export function isReloading({ reload }: AgentProcesses): boolean {
  return reload?.outcome === "running";
}

export function evidenceToJson(agent: AgentProcesses) {
  const { path, generation, processes, isCurrent, reload } = agent;
  return {
    path,
    generation,
    is_current: isCurrent,
    processes: processes.map(processToJson),
    reload,
  };
}
