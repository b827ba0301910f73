import { types } from "node:util";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { AppError, isAppError, unavailable } from "../errors";

/** SQLSTATEs of a server that is stopping, starting, full, or a standby (PostgreSQL, appendix A). */
const AWAY_STATES = new Set(["57P01", "57P02", "57P03", "57P05", "57014", "25006", "25P03"]);
/** Connection exceptions and insufficient resources: whole classes. */
const AWAY_CLASSES = new Set(["08", "53"]);
/** Serialization failure, deadlock, lock not available. */
const LOST_RACE_STATES = new Set(["40001", "40P01", "55P03"]);
const AWAY_SYSTEM_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOENT",
]);
/** pg gives these no code, so the text is all there is to tell them by. */
const AWAY_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|timeout expired|Client has encountered a connection error|Cannot use a pool after calling end|Client was closed)/;

/** The SQLSTATE or system error code of an error, if it carries one. */
function codeOf(error: unknown): string | undefined {
  // Not instanceof: under Jest, the errors of Node itself come from another realm.
  if (!types.isNativeError(error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

function isAway(error: unknown): boolean {
  const code = codeOf(error);
  if (code === undefined) return types.isNativeError(error) && AWAY_MESSAGES.test(error.message);
  const isState = code.length === 5 && AWAY_CLASSES.has(code.slice(0, 2));
  return isState || AWAY_STATES.has(code) || AWAY_SYSTEM_CODES.has(code);
}

/**
 * Gives an error of pg the meaning that the product knows: UNAVAILABLE when PostgreSQL is away,
 * ABORTED when a transaction lost a race. Everything else is passed through as it came.
 */
export function toDatabaseError(error: unknown): unknown {
  if (isAppError(error)) return error;
  if (isAway(error)) return unavailable("PostgreSQL is away", error);
  if (LOST_RACE_STATES.has(codeOf(error) ?? "")) {
    return new AppError({
      code: "ABORTED",
      reason: ErrorReason.ERROR_REASON_DEPENDENCY_AWAY,
      message: "the transaction lost a race, try again",
      retryAfterMs: 10,
      cause: error,
    });
  }
  return error;
}

/**
 * Whether the connection that gave this error may be used again: it may when the server answered
 * with an error of the statement, it may not when the answer never came.
 */
export function isConnectionUsable(error: unknown): boolean {
  const code = codeOf(error);
  if (code?.length !== 5) return false;
  return code === "57014" || !isAway(error);
}

/** Whether a transaction as a whole may succeed when repeated (serialization failure, deadlock). */
export function isLostRace(error: unknown): boolean {
  return isAppError(error, "ABORTED") && LOST_RACE_STATES.has(codeOf(error.cause) ?? "");
}

/** Whether a row with this key is already there; with a name, only for that constraint. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return isViolation(error, "23505", constraint);
}

function isViolation(error: unknown, state: string, constraint: string | undefined): boolean {
  if (codeOf(error) !== state) return false;
  if (constraint === undefined) return true;
  return types.isNativeError(error) && "constraint" in error && error.constraint === constraint;
}
