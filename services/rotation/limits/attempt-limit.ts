import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AppError } from "../../../lib/errors";
import type { Db } from "../../../lib/postgres/db";

/** How often something may be tried within any span of time, however it is placed. */
export interface AttemptLimit {
  /** Of the table's rows and of the error's metadata. */
  name: string;
  /** At most so many. */
  max: number;
  /** Within any so many seconds. */
  windowSeconds: number;
}

/** Whose attempts are counted together. */
export interface AttemptSubject {
  /** Empty where the tenant is not known before the attempt. */
  tenantId: string;
  /** An account, or an address. */
  subject: string;
}

/**
 * Counts attempts in the database and by its clock: the same for all replicas, across restarts. Those
 * that are refused do not count, so that whoever waits is let through.
 */
export interface AttemptStore {
  /**
   * Counts this attempt if the limit lets it through, and resolves with undefined; else with how long
   * to wait, in milliseconds. On a pool the attempt counts whatever becomes of it; in a transaction it
   * counts when that commits, and others of the same subject wait for it.
   */
  take(db: Db, limit: AttemptLimit, who: AttemptSubject): Promise<number | undefined>;
  /** Removes up to `limit` rows whose attempts do not count any more; resolves with how many. */
  prune(db: Db, limit: number): Promise<number>;
}

/** RESOURCE_EXHAUSTED with the time to wait; `message` says what was tried too often, and the limit. */
export function tooManyAttempts(
  { name }: AttemptLimit,
  message: string,
  retryAfterMs: number,
): AppError {
  return new AppError({
    code: "RESOURCE_EXHAUSTED",
    reason: ErrorReason.ERROR_REASON_TOO_MANY_ATTEMPTS,
    message,
    metadata: { limit: name },
    retryAfterMs,
  });
}
