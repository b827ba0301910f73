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
import type { ReadVouch } from "../identity/vouch";
import type { Log } from "../log";
import { checkAccess, checkScopes, type AccessRow } from "./access";
import type { CallContext } from "./context";
import { toStatus } from "./status";

/** Verifies a caller's credentials: undefined when there are none, UNAUTHENTICATED when bad. */
export type Authenticate = (call: {
  method: string;
  get(key: string): string | undefined;
  /** Network address of the caller. */
  peer?: string;
}) => Promise<Principal | undefined>;

/** What every call of a server shares. */
export interface CallDeps {
  authenticate: Authenticate;
  /** Reads what the gateway says of a call that it makes for somebody; absent: nobody is believed. */
  readVouch?: ReadVouch;
  log: Log;
  /** Cap for calls whose client set no deadline or a longer one; streams have none. */
  maxTimeoutMs: number;
  /** Told of every call that was refused for want of a credential or a right, for the audit. */
  onRefused?: (refused: RefusedCall) => void;
}

/** A call that was refused: UNAUTHENTICATED, or PERMISSION_DENIED to a known caller. */
export interface RefusedCall {
  method: string;
  /** Network address of the caller. */
  peer: string;
  principal: Principal | undefined;
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
    const incoming = {
      method: shape.method,
      get: (key: string) => firstText(call.metadata, key),
    };
    let principal: Principal | undefined;
    let peer = call.getPeer();
    try {
      const vouch = await deps.readVouch?.(incoming);
      if (vouch) peer = vouch.client;
      principal = await deps.authenticate({ ...incoming, peer });
      checkAccess(shape.access, principal);
      checkScopes(shape, principal, vouch?.route);
      const context: CallContext = {
        method: shape.method,
        requestId,
        get signal() {
          return deadline.signal;
        },
        timeoutMs,
        peer,
        log,
        principal,
      };
      return { ok: await deadline.race(() => body(context)) };
    } catch (error) {
      if (!isAppError(error)) log.error("call failed with a bug", { error });
      else if (error.code === "UNAVAILABLE") log.warn("call failed", { error });
      else if (error.code === "UNAUTHENTICATED" || error.code === "PERMISSION_DENIED")
        deps.onRefused?.({ method: shape.method, peer, principal });
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

/**
 * Aborts when time is up or the caller is gone, and lets a body that ignores it be left behind. The
 * signal is made when it is first asked for: most calls are over before anyone would look at it.
 */
function startDeadline(call: IncomingCall, timeoutMs: number) {
  let isOver = false;
  let reason: AppError | undefined;
  let controller: AbortController | undefined;
  let reject: (error: AppError) => void = () => undefined;
  const abort = (why: AppError) => {
    reason ??= why;
    controller?.abort(reason);
    reject(reason);
  };
  call.on("cancelled", () => {
    // It also comes when a call that was answered closes.
    if (!isOver) abort(callerGone());
  });
  if (call.cancelled) abort(callerGone());
  if (timeoutMs <= 0) abort(deadlineExceeded());
  const timer = Number.isFinite(timeoutMs)
    ? setTimeout(
        () => {
          abort(deadlineExceeded());
        },
        Math.min(timeoutMs, 2 ** 31 - 1),
      )
    : undefined;
  return {
    get signal() {
      controller ??= new AbortController();
      if (reason && !controller.signal.aborted) controller.abort(reason);
      return controller.signal;
    },
    clear: () => {
      isOver = true;
      clearTimeout(timer);
    },
    race<T>(begin: () => Promise<T>): Promise<T> {
      return new Promise((resolve, rejectRace) => {
        reject = rejectRace;
        // What nobody waits for any more is not begun.
        if (reason) rejectRace(reason);
        // Left behind after an abort, the outcome of the work has no reader.
        else begin().then(resolve, rejectRace);
      });
    },
  };
}

function callerGone(): AppError {
  return new AppError({
    code: "CANCELLED",
    reason: ErrorReason.ERROR_REASON_CANCELLED,
    message: "the caller went away",
  });
}
