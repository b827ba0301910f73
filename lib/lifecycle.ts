import { systemClock, type Clock } from "./clock";
import type { Log } from "./log";

/** What a running service opens, runs and closes. */
export interface Scope {
  /** Aborts when the service has to stop. */
  readonly signal: AbortSignal;
  /** Registers what closes something that was opened; run in reverse order, each once. */
  defer(name: string, close: () => Promise<void> | void): void;
  /** Runs a long task; when it fails, the service stops and exits non-zero. */
  task(name: string, work: (signal: AbortSignal) => Promise<void>): void;
  /** Says that the service can do its job; `started` is logged with these fields. */
  ready(fields?: Record<string, unknown>): void;
}

export interface RunOptions {
  log: Log;
  /** Bound for all clean-ups together. */
  graceMs: number;
  clock?: Clock;
  /** Injected by tests; the default is the process' own. */
  signals?: { onStop(listener: (signal: string) => void): () => void };
}

/**
 * Runs a service until SIGTERM, SIGINT or the first failed task; then closes what was opened, in
 * reverse, within `graceMs`. Returns the exit code: 0 only when all ended well. A second signal
 * ends the process at once.
 */
export async function run(
  name: string,
  options: RunOptions,
  start: (scope: Scope) => Promise<void>,
): Promise<number> {
  const { log, clock = systemClock, signals = processSignals } = options;
  const controller = new AbortController();
  const closers: { name: string; close: () => Promise<void> | void }[] = [];
  const tasks: Promise<void>[] = [];
  const failed: string[] = [];
  const stop = new AbortController();
  const fail = (what: string, error: unknown) => {
    if (!controller.signal.aborted) failed.push(what);
    log.error("failed", { what, error });
    stop.abort();
  };
  const unlisten = signals.onStop((signal) => {
    log.info("stopping", { signal });
    stop.abort();
  });
  const scope: Scope = {
    signal: controller.signal,
    defer: (what, close) => closers.push({ name: what, close }),
    task: (what, work) => {
      tasks.push(
        work(controller.signal).catch((error: unknown) => {
          fail(what, error);
        }),
      );
    },
    ready: (fields) => {
      log.info(`${name} is ready`, fields);
    },
  };
  try {
    await Promise.race([start(scope), aborted(stop.signal)]);
    await aborted(stop.signal);
  } catch (error) {
    fail("start", error);
  }
  controller.abort(new Error("stopping"));
  const closing = closeAll(closers.reverse(), tasks, log);
  const closed = new AbortController();
  const timedOut = clock.sleep(options.graceMs, closed.signal).then(() => "late" as const);
  const outcome = await Promise.race([closing, timedOut]);
  closed.abort(); // Else the timer would keep the process for the rest of its grace.
  unlisten();
  if (outcome === "late")
    log.error("could not close everything in time", { graceMs: options.graceMs });
  return failed.length > 0 || outcome !== "closed" ? 1 : 0;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else
      signal.addEventListener(
        "abort",
        () => {
          resolve();
        },
        { once: true },
      );
  });
}

async function closeAll(
  closers: { name: string; close: () => Promise<void> | void }[],
  tasks: Promise<void>[],
  log: Log,
): Promise<"closed" | "dirty"> {
  let outcome: "closed" | "dirty" = "closed";
  for (const { name, close } of closers) {
    try {
      await close();
    } catch (error) {
      outcome = "dirty";
      log.error("could not close", { what: name, error });
    }
  }
  await Promise.all(tasks);
  return outcome;
}

const processSignals = {
  onStop(listener: (signal: string) => void): () => void {
    let seen = 0;
    const onSignal = (signal: NodeJS.Signals) => {
      if (++seen > 1) process.exit(130);
      listener(signal);
    };
    process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
    return () => process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
  },
};

/** Makes a bug that nobody caught end the process instead of leaving it half alive. */
export function exitOnBugs(log: Log): void {
  const onBug = (error: unknown) => {
    log.error("unhandled failure, exiting", { error });
    process.exit(70);
  };
  process.on("uncaughtException", onBug).on("unhandledRejection", onBug);
}
