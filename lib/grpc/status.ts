import { Metadata, status, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo, RetryInfo } from "../../gen/google/rpc/error_details";
import { Status } from "../../gen/google/rpc/status";
import {
  ErrorReason,
  errorReasonFromJSON,
  errorReasonToJSON,
} from "../../gen/murmur/errors/v1/error_reason";
import { AppError, isAppError, unavailable, type ErrorCode } from "../errors";

/** The `domain` of every ErrorInfo that we send. */
export const ERROR_DOMAIN = "murmur.dev";

const DETAILS_KEY = "grpc-status-details-bin";
const TYPE_PREFIX = "type.googleapis.com/google.rpc.";
const REASON_PREFIX = "ERROR_REASON_";

/**
 * Converts anything thrown into the status that goes on the wire: code, message and google.rpc
 * details in `grpc-status-details-bin`. What is not an AppError is a bug: the caller sees INTERNAL
 * and the request id, nothing else.
 */
export function toStatus(error: unknown, requestId: string): StatusObject {
  const known = isAppError(error) ? error : internal(requestId);
  const code = status[known.code];
  const details = [
    any("ErrorInfo", ErrorInfo.encode(toErrorInfo(known)).finish()),
    ...(known.violations.length > 0 ? [any("BadRequest", toBadRequest(known))] : []),
    ...(known.retryAfterMs !== undefined
      ? [any("RetryInfo", toRetryInfo(known.retryAfterMs))]
      : []),
  ];
  const metadata = new Metadata();
  const encoded = Status.encode({ code, message: known.message, details }).finish();
  metadata.set(DETAILS_KEY, Buffer.from(encoded));
  metadata.set("request-id", requestId);
  return { code, details: known.message, metadata };
}

/** Converts a failed call back into the AppError that the service threw. */
export function fromServiceError(error: ServiceError): AppError {
  const encoded = error.metadata.get(DETAILS_KEY)[0];
  return fromWireStatus({
    code: error.code,
    message: error.details,
    details: Buffer.isBuffer(encoded) ? encoded : undefined,
    cause: error,
  });
}

/** A status as it came over the wire: number, text, and the bytes of `grpc-status-details-bin`. */
export interface WireStatus {
  code: number;
  message: string;
  details: Buffer | undefined;
  cause?: unknown;
}

/** Converts a status other than OK into the AppError that the service threw. */
export function fromWireStatus(wire: WireStatus): AppError {
  const details = wire.details ? Status.decode(wire.details).details : [];
  const find = (type: string) =>
    details.find(({ typeUrl }) => typeUrl === TYPE_PREFIX + type)?.value;
  const info = find("ErrorInfo");
  const code = status[wire.code] as ErrorCode;
  if (!info) return withoutDetails(wire, code);
  const { reason, metadata } = ErrorInfo.decode(info);
  const badRequest = find("BadRequest");
  const retry = find("RetryInfo");
  const delay = retry ? RetryInfo.decode(retry).retryDelay : undefined;
  return new AppError({
    code,
    reason: errorReasonFromJSON(REASON_PREFIX + reason),
    message: wire.message,
    metadata,
    ...(badRequest && {
      violations: BadRequest.decode(badRequest).fieldViolations.map(({ field, description }) => ({
        field,
        description,
      })),
    }),
    ...(delay && { retryAfterMs: Number(delay.seconds) * 1000 + delay.nanos / 1e6 }),
  });
}

/** What clients put around the error of a connection: grpc-js, and Node's HTTP/2. */
const AROUND = [
  /^.*Last error: (?:Error: )?/s,
  /\.? Resolution note:.*$/s,
  /^.*\(caused by: |\)$/gs,
];

/**
 * UNAVAILABLE for a connection that did not come about or broke; `text` is what was said of it. Only
 * a certificate that is not accepted is told apart: waiting does not mend it.
 */
export function connectionFailed(text: string, cause?: unknown): AppError {
  if (!/certificate/i.test(text)) return unavailable("service is away", cause, 200);
  const why = AROUND.reduce((rest, around) => rest.replace(around, ""), text);
  return unavailable(`the service's certificate is not accepted: ${why}`, cause, 200);
}

/** Errors that grpc-js itself makes: a peer that is away, a deadline, a cancelled call. */
function withoutDetails({ message, cause }: WireStatus, code: ErrorCode): AppError {
  if (code === "UNAVAILABLE") return connectionFailed(message, cause);
  const reasons: Partial<Record<ErrorCode, ErrorReason>> = {
    DEADLINE_EXCEEDED: ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
    CANCELLED: ErrorReason.ERROR_REASON_CANCELLED,
    UNIMPLEMENTED: ErrorReason.ERROR_REASON_UNIMPLEMENTED,
    RESOURCE_EXHAUSTED: ErrorReason.ERROR_REASON_MESSAGE_TOO_LARGE,
    UNAUTHENTICATED: ErrorReason.ERROR_REASON_UNAUTHENTICATED,
    PERMISSION_DENIED: ErrorReason.ERROR_REASON_PERMISSION_DENIED,
  };
  const reason = reasons[code] ?? ErrorReason.ERROR_REASON_INTERNAL;
  return new AppError({ code, reason, message: message || code, cause });
}

function internal(requestId: string): AppError {
  return new AppError({
    code: "INTERNAL",
    reason: ErrorReason.ERROR_REASON_INTERNAL,
    message: `internal error (request ${requestId})`,
    metadata: { request_id: requestId },
  });
}

function any(type: string, value: Uint8Array): { typeUrl: string; value: Buffer } {
  return { typeUrl: TYPE_PREFIX + type, value: Buffer.from(value) };
}

function toErrorInfo(error: AppError): ErrorInfo {
  const reason = errorReasonToJSON(error.reason).slice(REASON_PREFIX.length);
  return { reason, domain: ERROR_DOMAIN, metadata: error.metadata };
}

function toBadRequest(error: AppError): Uint8Array {
  const fieldViolations = error.violations.map(({ field, description }) => ({
    field,
    description,
    reason: "",
    localizedMessage: undefined,
  }));
  return BadRequest.encode({ fieldViolations }).finish();
}

function toRetryInfo(retryAfterMs: number): Uint8Array {
  const seconds = BigInt(Math.floor(retryAfterMs / 1000));
  const nanos = Math.round((retryAfterMs % 1000) * 1e6);
  return RetryInfo.encode({ retryDelay: { seconds, nanos } }).finish();
}
