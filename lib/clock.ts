import { setTimeout as delay } from "node:timers/promises";

/** Time as a dependency: everything that waits or compares times is given one of these. */
export interface Clock {
  /** Wall-clock time, for what is shown or stored. */
  now(): Date;
  /** Milliseconds that only go forward, for measuring and for deadlines. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when the signal aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, signal ? { signal } : undefined);
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
  },
};
