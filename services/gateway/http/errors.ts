import { ErrorReason, errorReasonToJSON } from "../../../gen/murmur/errors/v1/error_reason";
import { AppError, type ErrorCode, isAppError } from "../../../lib/errors";

/** The status of each code (behaviour, section 12; the rest as google/rpc/code.proto says). */
const STATUSES: Record<ErrorCode, number> = {
  INVALID_ARGUMENT: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ABORTED: 409,
  ALREADY_EXISTS: 409,
  FAILED_PRECONDITION: 409,
  RESOURCE_EXHAUSTED: 429,
  CANCELLED: 499,
  INTERNAL: 500,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

/** The body of every answer that is an error. */
export interface ErrorBody {
  error: {
    code: ErrorCode;
    message: string;
    details?: {
      /** docs/errors.md. */
      reason: string;
      /** Facts by name, such as the name of what was not found. */
      metadata?: Record<string, string>;
      /** Every wrong field. */
      fields?: { field: string; description: string }[];
    };
  };
  /** Of a key that another agent has: which (behaviour, section 9). */
  conflict_agent_id?: string;
}

export interface ErrorAnswer {
  status: number;
  headers: Record<string, string>;
  body: ErrorBody;
}

/** What is answered to whatever was thrown; what is no AppError is a bug and shows a request id only. */
export function toErrorAnswer(error: unknown, requestId: string): ErrorAnswer {
  const known = isAppError(error) ? error : internal(requestId);
  const status = error instanceof MethodNotAllowed ? 405 : STATUSES[known.code];
  return { status, headers: headersOf(known), body: bodyOf(known) };
}

/** The route is there, and takes other methods. */
export class MethodNotAllowed extends AppError {
  constructor(
    method: string,
    readonly allow: readonly string[],
  ) {
    super({
      code: "UNIMPLEMENTED",
      reason: ErrorReason.ERROR_REASON_UNIMPLEMENTED,
      message: `${method} is not served under this path; allowed: ${allow.join(", ")}`,
    });
  }
}

/** NOT_FOUND for a path under which nothing is served. */
export function noSuchRoute(): AppError {
  return new AppError({
    code: "NOT_FOUND",
    reason: ErrorReason.ERROR_REASON_UNIMPLEMENTED,
    message: "nothing is served under this path: see /openapi.json",
  });
}

/** RESOURCE_EXHAUSTED for a client that asks too often. */
export function tooManyRequests(retryAfterMs: number): AppError {
  return new AppError({
    code: "RESOURCE_EXHAUSTED",
    reason: ErrorReason.ERROR_REASON_LIMIT_REACHED,
    message: "too many requests from this address",
    metadata: { limit: "requests" },
    retryAfterMs,
  });
}

function headersOf(error: AppError): Record<string, string> {
  return {
    ...(error.code === "UNAUTHENTICATED" && { "www-authenticate": "Bearer" }),
    ...(error.retryAfterMs !== undefined && {
      "retry-after": String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))),
    }),
    ...(error instanceof MethodNotAllowed && { allow: error.allow.join(", ") }),
  };
}

function bodyOf({ code, message, reason, metadata, violations }: AppError): ErrorBody {
  // What concerns the request as a whole names no field.
  const facts = Object.entries(metadata).filter(([name, text]) => name !== "field" || text !== "");
  const fields = violations.filter(({ field }) => field !== "");
  const details = {
    reason: errorReasonToJSON(reason).replace("ERROR_REASON_", ""),
    ...(facts.length > 0 && { metadata: Object.fromEntries(facts) }),
    ...(fields.length > 0 && { fields }),
  };
  const conflict = metadata["conflict_agent_id"];
  return {
    error: { code, message, details },
    ...(conflict !== undefined && { conflict_agent_id: conflict }),
  };
}

function internal(requestId: string): AppError {
  return new AppError({
    code: "INTERNAL",
    reason: ErrorReason.ERROR_REASON_INTERNAL,
    message: `internal error (request ${requestId})`,
    metadata: { request_id: requestId },
  });
}
