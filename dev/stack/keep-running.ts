import { setTimeout as delay } from "node:timers/promises";
import type { Part } from "../parts/part";

/** A part of the stack that is started again whenever it dies. */
export interface KeptPart<P extends Part> {
  /** The part as it runs now. */
  current(): P;
  stop(): Promise<void>;
}

export interface KeepOptions<P extends Part> {
  name: string;
  start: () => Promise<P>;
  /** Told after every start, the first included. */
  onStarted: (part: P) => void;
  /** Told when a part died or could not be started again. */
  onTrouble: (what: string) => void;
}

const RETRY_MS = 500;

/** Starts a part and, until `stop`, starts it again at once when it dies. */
export async function keepRunning<P extends Part>(options: KeepOptions<P>): Promise<KeptPart<P>> {
  const stopping = new AbortController();
  let part = await options.start();
  options.onStarted(part);
  const keeping = (async () => {
    for (;;) {
      const how = await part.exited;
      if (isAborted(stopping.signal)) return;
      options.onTrouble(`${options.name} ended (${how}), starting it again`);
      const next = await startAgain(options, stopping.signal);
      if (!next) return;
      part = next;
      // Stopped while it was being started: `stop` waits for this loop, and then ends the part.
      if (isAborted(stopping.signal)) return;
      options.onStarted(part);
    }
  })();
  return {
    current: () => part,
    async stop() {
      stopping.abort();
      await part.stop();
      await keeping;
      await part.stop();
    },
  };
}

async function startAgain<P extends Part>(
  options: KeepOptions<P>,
  signal: AbortSignal,
): Promise<P | undefined> {
  while (!isAborted(signal)) {
    try {
      return await options.start();
    } catch (error) {
      options.onTrouble(
        `${options.name} could not be started: ${error instanceof Error ? error.message : "failed"}`,
      );
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}

/** A call, so that the compiler does not take an earlier answer for the present one. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
