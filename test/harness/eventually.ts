import { setTimeout as delay } from "node:timers/promises";

export interface EventuallyOptions {
  timeoutMs?: number;
  everyMs?: number;
}

/**
 * Repeats an assertion until it passes and returns its result; throws its last failure when it has
 * not passed in time. The only way for a test to wait for what another process does.
 */
export async function eventually<T>(
  assertion: () => T | Promise<T>,
  { timeoutMs = 30_000, everyMs = 10 }: EventuallyOptions = {},
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() >= endMs) throw error;
      await delay(everyMs);
    }
  }
}
