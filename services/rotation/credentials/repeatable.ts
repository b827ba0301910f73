import { createHash } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AppError, invalid } from "../../../lib/errors";
import type { Tx } from "../../../lib/postgres/db";
import type { Sensitive } from "../../../lib/sensitive";
import { openAnswer, type RepeatableRequest, requestDigest, sealAnswer } from "./sealed-answer";
import type { SealedAnswerStore } from "./store/sealed-answer-store";

const MIN_BYTES = 22;
const MAX_BYTES = 128;
const PRINTABLE = /^[!-~]*$/;

/** Throws INVALID_ARGUMENT unless it is empty or may hold 128 random bits. */
export function checkRequestId(requestId: Sensitive<string>): void {
  const text = requestId.expose();
  const isGood = text.length >= MIN_BYTES && text.length <= MAX_BYTES && PRINTABLE.test(text);
  if (text === "" || isGood) return;
  const rule = `must be ${MIN_BYTES} to ${MAX_BYTES} printable characters with 128 random bits or more`;
  throw invalid("request_id", `request_id ${rule}`);
}

/**
 * The answer that this request got before, within 10 minutes, or a new one by `make`, which is kept for
 * then. Throws REQUEST_ID_REUSED when it was another request. An empty request id is never repeated.
 */
export async function answerOnce(
  tx: Tx,
  answers: SealedAnswerStore,
  { request, what }: { request: RepeatableRequest; what: readonly unknown[] },
  make: () => Promise<Sensitive<string>>,
): Promise<Sensitive<string>> {
  if (request.requestId.expose() === "") return make();
  const digest = requestDigest(request);
  const requestHash = createHash("sha256").update(JSON.stringify(what)).digest();
  const earlier = await answers.claim(tx, request.tenantId, digest);
  if (earlier) {
    if (!earlier.requestHash.equals(requestHash)) throw requestIdReused();
    return openAnswer(request, earlier.sealed);
  }
  const answer = await make();
  const sealed = sealAnswer(request, answer);
  await answers.keep(tx, request.tenantId, digest, { requestHash, sealed });
  return answer;
}

/** Without the id: whoever has it can have the answer. */
export function requestIdReused(): AppError {
  const description = "request_id was used before with another request";
  return new AppError({
    code: "INVALID_ARGUMENT",
    reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    message: description,
    violations: [{ field: "request_id", description }],
  });
}
