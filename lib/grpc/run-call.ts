import { randomUUID } from "node:crypto";
import { type Metadata, status, type StatusObject } from "@grpc/grpc-js";
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
import { refusedBy, type RefusedCredential } from "../identity/refused-credential";
import type { ReadVouch } from "../identity/vouch";
import type { Log } from "../log";
import { isWaiting, type MayWait } from "../may-wait";
import { isExporting } from "../telemetry";
import { checkAccess, checkScopes, type AccessRow } from "./access";
import type { CallContext } from "./context";
import { toStatus } from "./status";

/**
 * Verifies a caller's credentials: undefined when there are none, UNAUTHENTICATED when bad. Who is known
 * already is answered at once: a promise costs a call more than the look-up.
 */
export type Authenticate = (call: {
  method: string;
  get(key: string): string | undefined;
  /** Network address of the caller. */
  peer?: string;
}) => MayWait<Principal | undefined>;

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
  /** What was presented, where it is known and is what the call was refused for. */
  credential: RefusedCredential | undefined;
}

/** The part of a grpc-js server call that the wrapper uses. */
export interface IncomingCall {
  metadata: Metadata;
  cancelled: boolean;
  getDeadline(): Date | number;
  getPeer(): string;
  /** What grpc-js keeps beneath. */
  call?: {
    getConnectionInfo?(): {
      remoteAddress?: string | undefined;
      remotePort?: number | undefined;
    };
  };
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

export type Outcome<T> = { ok: T } | { failed: StatusObject };

/** One call to run, and who is told, once, what came of it. */
export interface CallRun<T> {
  call: IncomingCall;
  body: (context: CallContext) => Promise<T>;
  settle: (outcome: Outcome<T>) => void;
}

/**
 * Runs one call: deadline, span, authentication, access, then `body`; converts whatever is thrown
 * to a status. The only place, with server.ts, that sees grpc-js calls.
 */
export function runCall<T>(deps: CallDeps, shape: CallShape, run: CallRun<T>): void {
  if (!isExporting()) {
    new RunningCall(deps, shape, run).start();
    return;
  }
  const parent = propagation.extract(otelContext.active(), run.call.metadata, METADATA_GETTER);
  const tracer = trace.getTracer("murmur");
  tracer.startActiveSpan(shape.method, { kind: SpanKind.SERVER }, parent, (span) => {
    const settle = (outcome: Outcome<T>) => {
      if ("failed" in outcome)
        span.setStatus({ code: SpanStatusCode.ERROR, message: status[outcome.failed.code] });
      span.end();
      run.settle(outcome);
    };
    new RunningCall(deps, shape, { ...run, settle }).start();
  });
}

/** Throws INVALID_ARGUMENT for a request that could not be decoded. */
export function checkDecoded<T>(request: T | MalformedMessage): T {
  if (request instanceof MalformedMessage)
    throw invalid("", "the request is not a valid protobuf message of this method");
  return request;
}

/**
 * One call on its way, which is also what its handler knows of it. Every call passes here: what few of
 * them need is made when it is asked for.
 */
class RunningCall<T> implements CallContext {
  readonly method: string;
  readonly timeoutMs: number;
  peer: string;
  principal: Principal | undefined;
  readonly #deps: CallDeps;
  readonly #shape: CallShape;
  readonly #run: CallRun<T>;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;
  #reason: AppError | undefined;
  #requestId: string | undefined;
  #log: Log | undefined;
  #controller: AbortController | undefined;

  constructor(deps: CallDeps, shape: CallShape, run: CallRun<T>) {
    [this.#deps, this.#shape, this.#run] = [deps, shape, run];
    this.method = shape.method;
    this.timeoutMs = timeLeftMs(run.call, deps.maxTimeoutMs, shape.isStream);
    this.peer = peerOf(run.call);
  }

  get requestId(): string {
    return (this.#requestId ??= randomUUID());
  }

  get log(): Log {
    const { method, requestId } = this;
    return (this.#log ??= this.#deps.log.child({ method, requestId }));
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason && !this.#controller.signal.aborted) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** Of metadata. */
  get(key: string): string | undefined {
    return firstText(this.#run.call.metadata, key);
  }

  /** Settles in any case, by the deadline at the latest; a body that ignores that is left behind. */
  start(): void {
    const { call } = this.#run;
    call.on("cancelled", () => {
      // It also comes when a call that was answered closes.
      if (!this.#isOver) this.#abort(callerGone());
    });
    if (call.cancelled) this.#abort(callerGone());
    else if (this.timeoutMs <= 0) this.#abort(deadlineExceeded());
    else {
      if (Number.isFinite(this.timeoutMs))
        this.#timer = setTimeout(
          () => {
            this.#abort(deadlineExceeded());
          },
          Math.min(this.timeoutMs, MAX_TIMER_MS),
        );
      void this.#serve().then((outcome) => {
        this.#settle(outcome);
      });
    }
  }

  async #serve(): Promise<Outcome<T>> {
    const [deps, shape] = [this.#deps, this.#shape];
    try {
      const reading = deps.readVouch?.(this);
      const vouch = reading && (await reading);
      if (vouch) this.peer = vouch.client;
      const known = deps.authenticate(this);
      this.principal = isWaiting(known) ? await known : known;
      checkAccess(shape.access, this.principal);
      checkScopes(shape, this.principal, vouch?.route);
      // What nobody waits for any more is not begun.
      if (this.#reason) throw this.#reason;
      return { ok: await this.#run.body(this) };
    } catch (error) {
      this.#note(error);
      return { failed: toStatus(error, this.requestId) };
    }
  }

  #note(error: unknown): void {
    const code = isAppError(error) ? error.code : undefined;
    if (code === "UNAUTHENTICATED" || code === "PERMISSION_DENIED") {
      const { method, peer, principal } = this;
      this.#deps.onRefused?.({ method, peer, principal, credential: refusedBy(error) });
    }
    // Left behind, it fails as it was told to.
    if (this.#isOver) return;
    if (code === undefined) this.log.error("call failed with a bug", { error });
    else if (code === "UNAVAILABLE") this.log.warn("call failed", { error });
  }

  #abort(why: AppError): void {
    this.#reason = why;
    this.#controller?.abort(why);
    this.#settle({ failed: toStatus(why, this.requestId) });
  }

  #settle(outcome: Outcome<T>): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#run.settle(outcome);
  }
}

const MAX_TIMER_MS = 2 ** 31 - 1;

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
  const endMs = deadline instanceof Date ? deadline.getTime() : deadline;
  const leftMs = endMs === Infinity ? Infinity : endMs - Date.now();
  return isStream ? leftMs : Math.min(leftMs, maxTimeoutMs);
}

/**
 * The address of the caller. grpc-js has it since the call came in; its getPeer looks it up again in the
 * socket, through a proxy, which costs as much as all the rest of this.
 */
function peerOf(call: IncomingCall): string {
  const { remoteAddress, remotePort } = call.call?.getConnectionInfo?.() ?? {};
  return remoteAddress === undefined || remotePort === undefined
    ? call.getPeer()
    : `${remoteAddress}:${remotePort}`;
}

function callerGone(): AppError {
  return new AppError({
    code: "CANCELLED",
    reason: ErrorReason.ERROR_REASON_CANCELLED,
    message: "the caller went away",
  });
}
