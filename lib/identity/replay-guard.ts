import type { Clock } from "../clock";

/** Remembers what was seen for at least a window, in memory that the window bounds. */
export interface ReplayGuard {
  /** False when this was seen within the window. */
  isFirst(key: string): boolean;
}

/** Two generations of a set, swapped once per window: no timer, no entry looked at twice. */
export function createReplayGuard(windowMs: number, clock: Clock): ReplayGuard {
  let current = new Set<string>();
  let previous = new Set<string>();
  let swappedMs = clock.monotonicMs();
  return {
    isFirst(key) {
      const nowMs = clock.monotonicMs();
      if (nowMs - swappedMs > windowMs) {
        previous = nowMs - swappedMs > 2 * windowMs ? new Set() : current;
        current = new Set();
        swappedMs = nowMs;
      }
      if (current.has(key) || previous.has(key)) return false;
      current.add(key);
      return true;
    },
  };
}
