import { isAppError } from "../lib/errors";
import { retry } from "../lib/retry";

/**
 * Makes a call that may be repeated, again for up to two seconds while the service is away: long
 * enough for one that is being restarted, short enough for somebody who waits.
 */
export function patient<T>(call: () => Promise<T>, deadlineMs = 2_000): Promise<T> {
  return retry(call, {
    deadlineMs,
    initialMs: 100,
    maxMs: 500,
    shouldRetry: (error) => isAppError(error, "UNAVAILABLE"),
  });
}
