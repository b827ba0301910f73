import { ErrorReason } from "../gen/murmur/errors/v1/error_reason";

/** The canonical gRPC codes that the product answers with (google/rpc/code.proto). */
export type ErrorCode =
  | "CANCELLED"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "UNAUTHENTICATED";

/** One wrong field of a request: the path as in the proto file, and what is wrong with it. */
export interface FieldViolation {
  field: string;
  description: string;
}

export interface AppErrorInit {
  code: ErrorCode;
  reason: ErrorReason;
  message: string;
  metadata?: Record<string, string>;
  violations?: FieldViolation[];
  retryAfterMs?: number;
  cause?: unknown;
}

/**
 * The one error type that may cross a service's edge. `message` and `metadata` are shown to
 * callers and never hold a secret; `cause` stays in the log.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly reason: ErrorReason;
  readonly metadata: Record<string, string>;
  readonly violations: FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(init: AppErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = "AppError";
    this.code = init.code;
    this.reason = init.reason;
    this.metadata = init.metadata ?? {};
    this.violations = init.violations ?? [];
    this.retryAfterMs = init.retryAfterMs;
  }
}

type Metadata = Record<string, string>;

/** Whether `error` is an AppError, with this code when one is given. */
export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code);
}

/** INVALID_ARGUMENT for one field; the message is the violation's text. */
export function invalid(field: string, description: string): AppError {
  return invalidFields([{ field, description }]);
}

/** Details travel in trailers, which peers bound: a thousand violations would be no answer at all. */
const MAX_VIOLATIONS = 40;

/** INVALID_ARGUMENT for several fields: the first gives the message, the details list all (40). */
export function invalidFields(all: FieldViolation[]): AppError {
  const violations = all.slice(0, MAX_VIOLATIONS);
  return new AppError({
    code: "INVALID_ARGUMENT",
    reason: ErrorReason.ERROR_REASON_INVALID_FIELD,
    message: violations[0]?.description ?? "invalid request",
    metadata: { field: violations[0]?.field ?? "" },
    violations,
  });
}

export function notFound(reason: ErrorReason, message: string, metadata?: Metadata): AppError {
  return new AppError({ code: "NOT_FOUND", reason, message, ...(metadata && { metadata }) });
}

export function alreadyExists(reason: ErrorReason, message: string, metadata?: Metadata): AppError {
  return new AppError({ code: "ALREADY_EXISTS", reason, message, ...(metadata && { metadata }) });
}

/** ABORTED: the caller lost a race, may read again and retry. */
export function conflict(reason: ErrorReason, message: string, metadata?: Metadata): AppError {
  return new AppError({ code: "ABORTED", reason, message, ...(metadata && { metadata }) });
}

export function failedPrecondition(
  reason: ErrorReason,
  message: string,
  metadata?: Metadata,
): AppError {
  return new AppError({
    code: "FAILED_PRECONDITION",
    reason,
    message,
    ...(metadata && { metadata }),
  });
}

/** UNAVAILABLE: a dependency is away; the same request may be sent again after `retryAfterMs`. */
export function unavailable(message: string, cause?: unknown, retryAfterMs = 1000): AppError {
  return new AppError({
    code: "UNAVAILABLE",
    reason: ErrorReason.ERROR_REASON_DEPENDENCY_AWAY,
    message,
    retryAfterMs,
    cause,
  });
}

/** UNAUTHENTICATED says the same for every cause, so that a caller learns nothing from it. */
export function unauthenticated(
  message = "identity token is missing or expired",
  cause?: unknown,
): AppError {
  return new AppError({
    code: "UNAUTHENTICATED",
    reason: ErrorReason.ERROR_REASON_UNAUTHENTICATED,
    message,
    cause,
  });
}

export function permissionDenied(message = "permission denied", cause?: unknown): AppError {
  return new AppError({
    code: "PERMISSION_DENIED",
    reason: ErrorReason.ERROR_REASON_PERMISSION_DENIED,
    message,
    cause,
  });
}

export function resourceExhausted(
  reason: ErrorReason,
  message: string,
  retryAfterMs?: number,
): AppError {
  return new AppError({
    code: "RESOURCE_EXHAUSTED",
    reason,
    message,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

export function deadlineExceeded(message = "deadline exceeded"): AppError {
  return new AppError({
    code: "DEADLINE_EXCEEDED",
    reason: ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
    message,
  });
}
