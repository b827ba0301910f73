import type { Principal } from "../identity/principal";
import type { Log } from "../log";
import type { Encoded } from "./encoded";

/** What a handler knows of the call besides its request. */
export interface CallContext {
  /** `/package.Service/Method`. */
  method: string;
  /** Shown to callers in errors and found in the log. */
  requestId: string;
  /** Aborts when the caller goes away, the deadline passes, or the server is forced to stop. */
  signal: AbortSignal;
  /** Milliseconds left when the call came in. */
  timeoutMs: number;
  /** Network address of the caller; of the client, when the gateway vouches for it. */
  peer: string;
  log: Log;
  /** Absent only for RPCs that anyone may call. */
  principal: Principal | undefined;
}

/** Calls by request-shaped data: one request, one response, which may be encoded already. */
export type UnaryHandler<Req, Res> = (
  request: Req,
  context: CallContext,
) => Promise<Res | Encoded<Res>>;

/** One request, many responses; ends when the iterable does. */
export type ServerStreamHandler<Req, Res> = (
  request: Req,
  context: CallContext,
) => AsyncIterable<Res>;

/** A conversation as the server sees it. */
export interface ServerConversation<Req, Res> {
  requests: AsyncIterable<Req>;
  /** Sends one message; resolves when the transport can take more. */
  send(response: Res): Promise<void>;
}

/** A conversation; ends when the promise does. */
export type BidiHandler<Req, Res> = (
  conversation: ServerConversation<Req, Res>,
  context: CallContext,
) => Promise<void>;
