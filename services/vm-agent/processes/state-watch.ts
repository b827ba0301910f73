import { watch } from "node:fs";
import { type Clock } from "../../../lib/clock";
import { type Log } from "../../../lib/log";

export interface StateWatchDeps {
  /** The directory in which shims leave their marks. */
  directory: string;
  clock: Clock;
  log: Log;
  /** Called with the agent that a mark is about; must not throw. */
  onMark: (agentId: string) => void;
  /** Called now and then, to find what no mark tells; must not throw. */
  onSweep: () => void;
  sweepEveryMs: number;
}

/** With no watch, the sweep is all there is. */
const SWEEP_WITHOUT_WATCH_MS = 500;
const MARK = /^([^.]+)\.(?:started|exit)$/;

/**
 * Tells of the shims' marks as they appear (inotify), and sweeps at intervals: for what a watch
 * cannot see or has lost, such as a shim that was killed, and for systems out of watches. Runs
 * until the signal aborts.
 */
export async function watchState(deps: StateWatchDeps, signal: AbortSignal): Promise<void> {
  const { directory, clock, log, onMark, onSweep, sweepEveryMs } = deps;
  let everyMs = sweepEveryMs;
  const giveUp = (error: unknown): void => {
    everyMs = Math.min(everyMs, SWEEP_WITHOUT_WATCH_MS);
    log.warn("agents' ends are found by sweeping, since the watch failed", { error });
  };
  const stop = openWatch(directory, onMark, onSweep, giveUp);
  try {
    while (!signal.aborted) {
      onSweep();
      await clock.sleep(everyMs, signal);
    }
  } finally {
    stop();
  }
}

function openWatch(
  directory: string,
  onMark: (agentId: string) => void,
  onLoss: () => void,
  onError: (error: unknown) => void,
): () => void {
  try {
    const watcher = watch(directory, { persistent: false }, (_, name) => {
      // No name: the kernel's queue ran over, so anything may have happened.
      if (name === null) onLoss();
      const agentId = MARK.exec(name ?? "")?.[1];
      if (agentId !== undefined) onMark(agentId);
    });
    watcher.on("error", onError);
    return () => watcher.close();
  } catch (error) {
    onError(error);
    return () => undefined;
  }
}
