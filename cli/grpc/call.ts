import { type IncomingHttpHeaders } from "node:http2";
import { AppError, deadlineExceeded, isAppError, unavailable } from "../../lib/errors";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { type CallControl } from "../../lib/grpc/client";
import { type MethodDefinition } from "../../lib/grpc/definition";
import { connectionFailed, fromWireStatus } from "../../lib/grpc/status";
import { frame, unframe } from "./frames";
import { type Http2Session } from "./http2-session";

/**
 * Makes one call of one request and gives its responses as they come. Throws what the service
 * answered as an AppError: UNAVAILABLE for a connection that fails, DEADLINE_EXCEEDED and CANCELLED
 * for a call that this side gave up.
 */
export async function* call(
  session: Http2Session,
  method: MethodDefinition,
  request: unknown,
  { timeoutMs, signal }: CallControl,
): AsyncGenerator {
  if (signal?.aborted) throw cancelled();
  const headers: Record<string, string> =
    timeoutMs === undefined ? {} : { "grpc-timeout": `${Math.ceil(timeoutMs)}m` };
  const stream = session.request(method.path, headers);
  let answer: IncomingHttpHeaders = {};
  stream.on("response", (first) => (answer = { ...answer, ...first }));
  stream.on("trailers", (last: IncomingHttpHeaders) => (answer = { ...answer, ...last }));
  const giveUp = (error: AppError) => stream.destroy(error);
  const onAbort = () => giveUp(cancelled());
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => giveUp(deadlineExceeded()), timeoutMs);
  try {
    const serialize = method.requestSerialize as (value: unknown) => Buffer;
    stream.end(frame(serialize(request)));
    for await (const message of unframe(stream)) yield method.responseDeserialize(message);
    checkStatus(answer);
  } catch (error) {
    throw isOfConnection(error) ? connectionFailed(error.message, error) : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    stream.destroy();
  }
}

/** Node's errors of sockets and of HTTP/2 carry a code such as ECONNREFUSED. */
function isOfConnection(error: unknown): error is Error {
  return !isAppError(error) && typeof (error as NodeJS.ErrnoException).code === "string";
}

function checkStatus(answer: IncomingHttpHeaders): void {
  const code = answer["grpc-status"];
  if (code === "0") return;
  if (answer[":status"] === undefined) throw unavailable("service is away", undefined, 200);
  if (code === undefined)
    throw unavailable(`the address is no gRPC service's (HTTP ${String(answer[":status"])})`);
  const details = answer["grpc-status-details-bin"];
  throw fromWireStatus({
    code: Number(code),
    message: decodeMessage(String(answer["grpc-message"] ?? "")),
    details: typeof details === "string" ? Buffer.from(details, "base64") : undefined,
  });
}

/** Percent-encoded; what is not stays as it is. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function cancelled(): AppError {
  return new AppError({
    code: "CANCELLED",
    reason: ErrorReason.ERROR_REASON_CANCELLED,
    message: "the call was cancelled",
  });
}
