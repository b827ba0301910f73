import { Client, Metadata, type CallOptions, type ServiceError } from "@grpc/grpc-js";
import { context as otelContext, propagation } from "@opentelemetry/api";
import { AppError, isAppError } from "../errors";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import type { MethodDefinition, RequestOf, ResponseOf, ServiceDefinition } from "./definition";
import { fromServiceError } from "./status";
import { channelCredentials, type ClientTls } from "./tls";

/** Metadata that proves who calls, made for each call. */
export type Credentials = (method: string) => Promise<Record<string, string>>;

export interface ChannelOptions {
  /** `host:port`. */
  address: string;
  credentials?: Credentials;
  tls?: ClientTls;
  /** Deadline of calls that name none. */
  timeoutMs?: number;
  /** How often a quiet connection is probed; a frozen peer is noticed after one more second. */
  keepaliveMs?: number;
  maxMessageBytes?: number;
}

/** One connection to a service; clients of several of its services share it. */
export interface Channel {
  readonly client: Client;
  readonly options: ChannelOptions;
  close(): void;
}

export interface CallControl {
  timeoutMs?: number;
  signal?: AbortSignal;
  /** In place of the channel's, for one unary call. */
  credentials?: Credentials;
}

/** A conversation as the client sees it. */
export interface ClientConversation<Req, Res> {
  /** Throws the call's error when it breaks. */
  responses: AsyncIterable<Res>;
  send(request: Req): void;
  /** Says that no more requests follow. */
  end(): void;
  cancel(): void;
}

type ClientMethod<M extends MethodDefinition> = M extends { requestStream: true }
  ? (control?: CallControl) => Promise<ClientConversation<RequestOf<M>, ResponseOf<M>>>
  : M extends { responseStream: true }
    ? (request: RequestOf<M>, control?: CallControl) => AsyncIterable<ResponseOf<M>>
    : (request: RequestOf<M>, control?: CallControl) => Promise<ResponseOf<M>>;

/** A typed client: one function per RPC; every error is an AppError. */
export type ClientOf<D extends ServiceDefinition> = { [K in keyof D]: ClientMethod<D[K]> };

/** Opens a channel; it connects at the first call and reconnects by itself. */
export function openChannel(options: ChannelOptions): Channel {
  const maxBytes = options.maxMessageBytes ?? 16 * 1024 * 1024;
  const client = new Client(options.address, channelCredentials(options.tls), {
    // Services are called directly: a proxy that the environment names is for the web, and one that
    // does not know us would make even a loopback address unreachable.
    "grpc.enable_http_proxy": 0,
    "grpc.keepalive_time_ms": options.keepaliveMs ?? 10_000,
    "grpc.keepalive_timeout_ms": 1_000,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.max_receive_message_length": maxBytes,
    "grpc.max_send_message_length": maxBytes,
  });
  return {
    client,
    options,
    close: () => {
      client.close();
    },
  };
}

/** Makes the client of one service over a channel. Unary calls always have a deadline. */
export function createClient<D extends ServiceDefinition>(
  definition: D,
  channel: Channel,
): ClientOf<D> {
  const methods = Object.entries(definition).map(([name, method]) => [
    name,
    toMethod(channel, method),
  ]);
  return Object.fromEntries(methods) as ClientOf<D>;
}

function toMethod(channel: Channel, method: MethodDefinition): unknown {
  if (method.requestStream)
    return (control?: CallControl) => converse(channel, method, control ?? {});
  if (method.responseStream) {
    return (request: unknown, control?: CallControl) =>
      serverStream(channel, method, request, control ?? {});
  }
  return (request: unknown, control?: CallControl) =>
    unary(channel, method, request, control ?? {});
}

async function unary(
  channel: Channel,
  method: MethodDefinition,
  request: unknown,
  control: CallControl,
): Promise<unknown> {
  const options = callOptions(control.timeoutMs ?? channel.options.timeoutMs ?? 10_000);
  const metadata = await callMetadata(channel, method, control.credentials);
  if (control.signal?.aborted) throw cancelled();
  return new Promise((resolve, reject) => {
    const call = channel.client.makeUnaryRequest(
      method.path,
      method.requestSerialize as (value: unknown) => Buffer,
      method.responseDeserialize,
      request,
      metadata,
      options,
      (error, response) => {
        control.signal?.removeEventListener("abort", onAbort);
        if (error) reject(fromServiceError(error));
        else resolve(response);
      },
    );
    const onAbort = () => {
      call.cancel();
    };
    control.signal?.addEventListener("abort", onAbort, { once: true });
  });
}

async function* serverStream(
  channel: Channel,
  method: MethodDefinition,
  request: unknown,
  control: CallControl,
): AsyncGenerator {
  const call = channel.client.makeServerStreamRequest(
    method.path,
    method.requestSerialize as (value: unknown) => Buffer,
    method.responseDeserialize,
    request,
    await callMetadata(channel, method),
    callOptions(control.timeoutMs),
  );
  yield* responsesOf(call, control.signal);
}

async function converse(
  channel: Channel,
  method: MethodDefinition,
  control: CallControl,
): Promise<ClientConversation<unknown, unknown>> {
  const call = channel.client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize as (value: unknown) => Buffer,
    method.responseDeserialize,
    await callMetadata(channel, method),
    callOptions(control.timeoutMs),
  );
  return {
    responses: responsesOf(call, control.signal),
    send: (request) => {
      call.write(request);
    },
    end: () => {
      call.end();
    },
    cancel: () => {
      call.cancel();
    },
  };
}

/** Errors of the stream become AppErrors; leaving the loop early cancels the call. */
async function* responsesOf(
  call: AsyncIterable<unknown> & {
    cancel(): void;
    on(event: "error", listener: () => void): unknown;
  },
  signal: AbortSignal | undefined,
): AsyncGenerator {
  call.on("error", () => undefined); // The loop below throws it; without a listener it would crash.
  const onAbort = () => {
    call.cancel();
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    yield* call;
  } catch (error) {
    throw isServiceError(error) ? fromServiceError(error) : error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    call.cancel();
  }
}

function callOptions(timeoutMs: number | undefined): CallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

async function callMetadata(
  channel: Channel,
  method: MethodDefinition,
  credentials = channel.options.credentials,
): Promise<Metadata> {
  const metadata = new Metadata();
  const values = (await credentials?.(method.path)) ?? {};
  for (const [key, value] of Object.entries(values)) metadata.set(key, value);
  propagation.inject(otelContext.active(), metadata, {
    set: (carrier, key, value) => {
      carrier.set(key, value);
    },
  });
  return metadata;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && !isAppError(error) && "code" in error && "details" in error;
}

function cancelled(): AppError {
  return new AppError({
    code: "CANCELLED",
    reason: ErrorReason.ERROR_REASON_CANCELLED,
    message: "the call was cancelled",
  });
}

/** The same connection with other credentials, for a service that acts for many tenants. */
export function withCredentials(channel: Channel, credentials: Credentials): Channel {
  return { ...channel, options: { ...channel.options, credentials } };
}
