import { randomUUID } from "node:crypto";
import type { Metadata, StatusObject } from "@grpc/grpc-js";
import {
  context as otelContext,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { AppError, deadlineExceeded, invalid, isAppError } from "../errors";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import type { Principal } from "../identity/principal";
import type { Log } from "../log";
import { checkAccess, type AccessRow } from "./access";
import type { CallContext } from "./context";
import { toStatus } from "./status";

/** Verifies a caller's credentials: undefined when there are none, UNAUTHENTICATED when bad. */
export type Authenticate = (call: {
  method: string;
  get(key: string): string | undefined;
}) => Promise<Principal | undefined>;

/** What every call of a server shares. */
export interface CallDeps {
  authenticate: Authenticate;
  log: Log;
  /** Cap for calls whose client set no deadline or a longer one; streams have none. */
  maxTimeoutMs: number;
}

/** The part of a grpc-js server call that the wrapper uses. */
export interface IncomingCall {
  metadata: Metadata;
  cancelled: boolean;
  getDeadline(): Date | number;
  getPeer(): string;
  on(event: "cancelled", listener: () => void): unknown;
}

/** Stands for a request whose bytes are not the message that they should be. */
export class MalformedMessage {
  constructor(readonly cause: unknown) {}
}

export interface CallShape {
  method: string;
  access: AccessRow;
  isStream: boolean;
}

/**
 * Runs one call: deadline, span, authentication, access, then `body`; converts whatever is thrown
 * to a status. The only place, with server.ts, that sees grpc-js calls.
 */
export async function runCall<T>(
  deps: CallDeps,
  shape: CallShape,
  call: IncomingCall,
  body: (context: CallContext) => Promise<T>,
): Promise<{ ok: T } | { failed: StatusObject }> {
  const requestId = randomUUID();
  const timeoutMs = timeLeftMs(call, deps.maxTimeoutMs, shape.isStream);
  const deadline = startDeadline(call, timeoutMs);
  const parent = propagation.extract(otelContext.active(), call.metadata, METADATA_GETTER);
  const tracer = trace.getTracer("murmur");
  return tracer.startActiveSpan(shape.method, { kind: SpanKind.SERVER }, parent, async (span) => {
    const log = deps.log.child({ method: shape.method, requestId });
    try {
      const principal = await deps.authenticate({
        method: shape.method,
        get: (key) => firstText(call.metadata, key),
      });
      checkAccess(shape.access, principal);
      const context: CallContext = {
        method: shape.method,
        requestId,
        signal: deadline.signal,
        timeoutMs,
        peer: call.getPeer(),
        log,
        principal,
      };
      return { ok: await deadline.race(body(context)) };
    } catch (error) {
      if (!isAppError(error)) log.error("call failed with a bug", { error });
      else if (error.code === "UNAVAILABLE") log.warn("call failed", { error });
      span.setStatus({
        code: SpanStatusCode.ERROR,
        message: isAppError(error) ? error.code : "INTERNAL",
      });
      return { failed: toStatus(error, requestId) };
    } finally {
      deadline.clear();
      span.end();
    }
  });
}

/** Throws INVALID_ARGUMENT for a request that could not be decoded. */
export function checkDecoded<T>(request: T | MalformedMessage): T {
  if (request instanceof MalformedMessage)
    throw invalid("", "the request is not a valid protobuf message of this method");
  return request;
}

const METADATA_GETTER = {
  keys: (metadata: Metadata) => Object.keys(metadata.getMap()),
  get: (metadata: Metadata, key: string) => firstText(metadata, key),
};

function firstText(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key)[0];
  return typeof value === "string" ? value : undefined;
}

function timeLeftMs(call: IncomingCall, maxTimeoutMs: number, isStream: boolean): number {
  const deadline = call.getDeadline();
  const leftMs = deadline instanceof Date ? deadline.getTime() - Date.now() : deadline - Date.now();
  return isStream ? leftMs : Math.min(leftMs, maxTimeoutMs);
}

/** Aborts when time is up or the caller is gone, and lets a body that ignores it be left behind. */
function startDeadline(call: IncomingCall, timeoutMs: number) {
  const controller = new AbortController();
  const cancelled = () =>
    new AppError({
      code: "CANCELLED",
      reason: ErrorReason.ERROR_REASON_CANCELLED,
      message: "the caller went away",
    });
  call.on("cancelled", () => {
    controller.abort(cancelled());
  });
  if (call.cancelled) controller.abort(cancelled());
  if (timeoutMs <= 0) controller.abort(deadlineExceeded());
  const timer = Number.isFinite(timeoutMs)
    ? setTimeout(
        () => {
          controller.abort(deadlineExceeded());
        },
        Math.min(timeoutMs, 2 ** 31 - 1),
      )
    : undefined;
  const { signal } = controller;
  return {
    signal,
    clear: () => {
      clearTimeout(timer);
    },
    async race<T>(work: Promise<T>): Promise<T> {
      let onAbort: () => void = () => undefined;
      const aborted = new Promise<never>((_resolve, reject) => {
        onAbort = () => {
          reject(signal.reason as Error);
        };
        if (signal.aborted) onAbort();
        else signal.addEventListener("abort", onAbort, { once: true });
      });
      work.catch(() => undefined); // Left behind after an abort: its outcome has no reader.
      try {
        return await Promise.race([work, aborted]);
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
  };
}
