import { type Clock, systemClock } from "./clock";
import { isAppError, type ErrorCode } from "./errors";

const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "UNAVAILABLE",
  "ABORTED",
  "RESOURCE_EXHAUSTED",
  "DEADLINE_EXCEEDED",
]);

/** Whether the same request may succeed later. Whether it may be sent twice is the RPC's word. */
export function isRetryable(error: unknown): boolean {
  return isAppError(error) && RETRYABLE.has(error.code);
}

export interface BackoffOptions {
  /** First delay, doubled at each attempt. */
  initialMs?: number;
  maxMs?: number;
  /** 0..1, injected by tests. */
  random?: () => number;
}

/** Full-jitter exponential back-off for the nth attempt (0 is the first). */
export function backoffMs(attempt: number, options: BackoffOptions = {}): number {
  const { initialMs = 50, maxMs = 5_000, random = Math.random } = options;
  const ceiling = Math.min(maxMs, initialMs * 2 ** Math.min(attempt, 30));
  return Math.round(ceiling / 2 + (random() * ceiling) / 2);
}

export interface RetryOptions extends BackoffOptions {
  /** Total time for all attempts. */
  deadlineMs: number;
  signal?: AbortSignal;
  clock?: Clock;
  shouldRetry?: (error: unknown) => boolean;
}

/**
 * Repeats `attempt` until it succeeds, fails for good, or the deadline passes; then throws the
 * last error. The only retry loop of the product besides the long-lived ones of the daemons.
 */
export async function retry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock = systemClock, shouldRetry = isRetryable, signal } = options;
  const endMs = clock.monotonicMs() + options.deadlineMs;
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      const serverMs = isAppError(error) ? (error.retryAfterMs ?? 0) : 0;
      const waitMs = Math.max(backoffMs(tries, options), serverMs);
      const isOver = clock.monotonicMs() + waitMs >= endMs;
      if (isOver || signal?.aborted || !shouldRetry(error)) throw error;
      await clock.sleep(waitMs, signal);
      if (signal?.aborted) throw error;
    }
  }
}
