import type { Clock } from "../../../lib/clock";

/** This machine's clock, set by the catalog's time once that is known to differ. */
export interface ServerClock extends Clock {
  /** The catalog's time was this just now; returns by how much `now` was behind it. */
  learn(serverTime: Date): number;
}

/** Below this, the machine's own clock is right: answers tell the time to the second only. */
const TOLERANCE_MS = 5_000;

/**
 * Goes on from the time learned by the monotonic clock, so that a jump of the machine's own clock
 * afterwards changes nothing.
 */
export function createServerClock(base: Clock): ServerClock {
  let learned: { serverMs: number; atMs: number } | undefined;
  const nowMs = () =>
    learned ? learned.serverMs + (base.monotonicMs() - learned.atMs) : base.now().getTime();
  return {
    now: () => new Date(nowMs()),
    monotonicMs: () => base.monotonicMs(),
    sleep: (ms, signal) => base.sleep(ms, signal),
    learn(serverTime) {
      const behindMs = serverTime.getTime() - nowMs();
      if (Math.abs(behindMs) > TOLERANCE_MS)
        learned = { serverMs: serverTime.getTime(), atMs: base.monotonicMs() };
      return behindMs;
    },
  };
}
