import { createHash, randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AppError, invalid } from "../../../lib/errors";

const MAX_REQUEST_ID_BYTES = 128;
const MAX_REASON_BYTES = 1024;

/** What every request for a rollout has. */
export interface RolloutRequest {
  /** Empty: not to be repeated. */
  requestId: string;
  reason: string;
}

/** Throws INVALID_ARGUMENT for a wrong one. */
export function checkRequest({ requestId, reason }: RolloutRequest): void {
  if (Buffer.byteLength(requestId) > MAX_REQUEST_ID_BYTES)
    throw invalid("request_id", `request_id exceeds ${MAX_REQUEST_ID_BYTES} byte limit`);
  if (Buffer.byteLength(reason) > MAX_REASON_BYTES)
    throw invalid("reason", `reason exceeds ${MAX_REASON_BYTES} byte limit`);
  if (reason.includes("\0")) throw invalid("reason", "reason must not contain a NUL byte");
}

/** The same for the same request of a caller, so that its snapshot and its row are found again. */
export function rolloutIdOf(tenantId: string, requestId: string): string {
  if (requestId === "") return randomUUID();
  return derivedId("murmur-rollout", tenantId, requestId);
}

/**
 * The same for what the service does by itself with a rollout, whatever it is called. No caller's
 * request id leads to it: whoever took it first could keep the service from doing it.
 */
export function ownRolloutIdOf(tenantId: string, purpose: "canary", rolloutId: string): string {
  return derivedId("murmur-own-rollout", tenantId, `${purpose}:${rolloutId}`);
}

function derivedId(namespace: string, tenantId: string, name: string): string {
  const hash = createHash("sha256").update(`${namespace}\0${tenantId}\0${name}`).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return [...parts, hex.slice(20, 32)].join("-");
}

/** Throws REQUEST_ID_REUSED unless the digest of the first request is that of this one. */
export function assertSameRequest(known: Buffer, hash: Buffer, requestId: string): void {
  if (known.equals(hash)) return;
  const description = "request_id was used before with another request";
  throw new AppError({
    code: "INVALID_ARGUMENT",
    reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    message: description,
    metadata: { request_id: requestId },
    violations: [{ field: "request_id", description }],
  });
}
