import { statSync } from "node:fs";
import type { Clock } from "../../../lib/clock";
import type { Log } from "../../../lib/log";

export interface OutputBoundsDeps {
  /** Agents whose output is looked after: what has ended is looked at once more, then left. */
  agents(): Iterable<{ agentId: string; hasEnded: boolean }>;
  pathOf(agentId: string): string;
  maxBytes: number;
  /** Cuts one file that may be over the limit. */
  cut(path: string, maxBytes: number): Promise<void>;
  clock: Clock;
  log: Log;
}

/** A quiet output is looked at this often, one that fills its limit more often. */
const QUIET_MS = 1_000;
const BUSY_MS = 50;

interface Look {
  atMs: number;
  size: number;
  nextMs: number;
}

/**
 * Keeps agents' output to its limit until the signal aborts. How soon a file is looked at again
 * follows from how fast it grew: in half of the time that it would need to fill up, so that a flood
 * is over the limit by what is written in some 50 ms, after a first second at most. One cut at a
 * time per agent; those under way are waited for at the end.
 */
export async function boundOutputs(deps: OutputBoundsDeps, signal: AbortSignal): Promise<void> {
  const looks = new Map<string, Look>();
  const cuts = new Map<string, Promise<void>>();
  while (!signal.aborted) {
    const agents = [...deps.agents()];
    for (const agent of agents) look(deps, agent, looks, cuts);
    const known = new Set(agents.map(({ agentId }) => agentId));
    for (const agentId of looks.keys()) if (!known.has(agentId)) looks.delete(agentId);
    const next = Math.min(...[...looks.values()].map(({ nextMs }) => nextMs));
    const waitMs = Math.min(next - deps.clock.monotonicMs(), QUIET_MS);
    await deps.clock.sleep(Math.max(waitMs, BUSY_MS), signal);
  }
  await Promise.all(cuts.values());
}

function look(
  deps: OutputBoundsDeps,
  { agentId, hasEnded }: { agentId: string; hasEnded: boolean },
  looks: Map<string, Look>,
  cuts: Map<string, Promise<void>>,
): void {
  const nowMs = deps.clock.monotonicMs();
  const last = looks.get(agentId);
  if ((last && last.nextMs > nowMs && !hasEnded) || cuts.has(agentId)) return;
  if (last?.nextMs === Infinity) return;
  const path = deps.pathOf(agentId);
  const size = sizeOf(path);
  const isOver = size > deps.maxBytes;
  const nextMs = hasEnded && !isOver ? Infinity : nowMs + waitMs(size, nowMs, last, deps.maxBytes);
  looks.set(agentId, { atMs: nowMs, size, nextMs });
  if (!isOver) return;
  const cutting = deps
    .cut(path, deps.maxBytes)
    .catch((error: unknown) => {
      deps.log.warn("agent's output could not be cut", { agentId, error });
    })
    .finally(() => cuts.delete(agentId));
  cuts.set(agentId, cutting);
}

function waitMs(size: number, nowMs: number, last: Look | undefined, maxBytes: number): number {
  if (size > maxBytes) return BUSY_MS;
  const grown = size - (last?.size ?? 0);
  if (grown <= 0) return QUIET_MS;
  const fullInMs = ((maxBytes - size) * (nowMs - (last?.atMs ?? nowMs))) / grown;
  return Math.max(BUSY_MS, Math.min(fullInMs / 2, QUIET_MS));
}

/** None of a file that is not there, or cannot be looked at: the next look may find more. */
function sizeOf(path: string): number {
  try {
    return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  } catch {
    return 0;
  }
}
