import {
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition as GrpcServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { once } from "node:events";
import type { AccessTable } from "./access";
import type { BidiHandler, ServerStreamHandler, UnaryHandler } from "./context";
import type { HandlersOf, MethodDefinition, ServiceDefinition } from "./definition";
import { serializerOf } from "./encoded";
import { addHealth, type HealthReporter } from "./health";
import { addReflection } from "./reflection";
import {
  checkDecoded,
  MalformedMessage,
  runCall,
  type CallDeps,
  type CallShape,
  type Outcome,
} from "./run-call";
import { serverCredentials, type ServerTls } from "./tls";
import { useStrictUtf8 } from "./utf8";

export interface GrpcServerOptions extends CallDeps {
  /** One row per RPC path. */
  access: AccessTable;
  /** Largest request, bytes. */
  maxMessageBytes?: number;
  tls?: ServerTls;
  /** What reflection serves: a base64 FileDescriptorSet (gen/descriptor-set.ts). */
  descriptorSet: string;
}

export interface GrpcServer {
  /** Serves a service; throws when an RPC has no row in the access table. */
  add<D extends ServiceDefinition>(definition: D, handlers: HandlersOf<D>): void;
  health: HealthReporter;
  /** Binds `host:port` (port 0 picks one) and returns the port. */
  listen(address: string): Promise<number>;
  /** Refuses new calls, lets running ones end, and cuts what is left after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** A gRPC server with health, reflection, authentication, access table and google.rpc errors. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  useStrictUtf8();
  const server = new Server({
    "grpc.max_receive_message_length": options.maxMessageBytes ?? 4 * 1024 * 1024,
    "grpc.max_send_message_length": 16 * 1024 * 1024,
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    // Nobody can ask for what it would count at every call and message.
    "grpc.enable_channelz": 0,
  });
  const served: string[] = [];
  const health = addHealth(server);
  const bound: string[] = [];
  let stopping: Promise<void> | undefined;
  return {
    health,
    add(definition, handlers) {
      served.push(addService(server, options, definition, handlers));
    },
    async listen(address) {
      addReflection(server, served, options.descriptorSet);
      const credentials = options.tls
        ? serverCredentials(options.tls)
        : ServerCredentials.createInsecure();
      return new Promise((resolve, reject) => {
        server.bindAsync(address, credentials, (error, port) => {
          if (error) reject(error);
          else {
            bound.push(address.replace(/:\d+$/, `:${port}`));
            resolve(port);
          }
        });
      });
    },
    stop(graceMs) {
      stopping ??= stopServer(server, bound, graceMs);
      return stopping;
    },
  };
}

function addService(
  server: Server,
  options: GrpcServerOptions,
  definition: ServiceDefinition,
  handlers: Record<string, unknown>,
): string {
  const implementation: UntypedServiceImplementation = {};
  const wire: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(definition)) {
    const access = options.access[method.path];
    if (!access) throw new Error(`no access row for ${method.path}`);
    const shape = {
      method: method.path,
      access,
      isStream: method.requestStream || method.responseStream,
    };
    wire[name] = {
      ...method,
      requestDeserialize: decodeOrMark(method),
      responseSerialize: serializerOf(method.responseSerialize as (message: unknown) => Buffer),
    };
    implementation[name] = toImplementation(options, shape, method, handlers[name]);
  }
  server.addService(wire as GrpcServiceDefinition, implementation);
  return Object.values(definition)[0]?.path.split("/")[1] ?? "";
}

/** grpc-js answers INTERNAL to bytes that do not decode; marking them lets us answer better. */
function decodeOrMark(method: MethodDefinition): (bytes: Buffer) => unknown {
  return (bytes) => {
    try {
      return method.requestDeserialize(bytes);
    } catch (error) {
      return new MalformedMessage(error);
    }
  };
}

function toImplementation(
  deps: CallDeps,
  shape: CallShape,
  method: MethodDefinition,
  handler: unknown,
): UntypedServiceImplementation[string] {
  if (method.requestStream) return toBidi(deps, shape, handler as BidiHandler<unknown, unknown>);
  if (method.responseStream)
    return toServerStream(deps, shape, handler as ServerStreamHandler<unknown, unknown>);
  return toUnary(deps, shape, handler as UnaryHandler<unknown, unknown>);
}

function toUnary(deps: CallDeps, shape: CallShape, handler: UnaryHandler<unknown, unknown>) {
  return (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => {
    runCall(deps, shape, {
      call,
      body: (context) => handler(checkDecoded(call.request), context),
      settle: (outcome) => {
        if ("ok" in outcome) callback(null, outcome.ok);
        else callback(outcome.failed);
      },
    });
  };
}

function toServerStream(
  deps: CallDeps,
  shape: CallShape,
  handler: ServerStreamHandler<unknown, unknown>,
) {
  return (call: ServerWritableStream<unknown, unknown>) => {
    runCall(deps, shape, {
      call,
      body: async (context) => {
        for await (const response of handler(checkDecoded(call.request), context)) {
          await write(call, response, context.signal);
        }
      },
      settle: (outcome) => {
        endStream(call, outcome);
      },
    });
  };
}

function toBidi(deps: CallDeps, shape: CallShape, handler: BidiHandler<unknown, unknown>) {
  return (call: ServerDuplexStream<unknown, unknown>) => {
    call.on("error", () => undefined); // A cut stream: the cancelled event and the loop tell.
    runCall(deps, shape, {
      call,
      body: (context) =>
        handler(
          { requests: decoded(call), send: (response) => write(call, response, context.signal) },
          context,
        ),
      settle: (outcome) => {
        endStream(call, outcome);
      },
    });
  };
}

async function* decoded(call: ServerDuplexStream<unknown, unknown>): AsyncGenerator {
  // Leaving the loop must not destroy the call: its status has still to be sent.
  for await (const request of call.iterator({ destroyOnReturn: false }))
    yield checkDecoded(request);
}

async function write(
  call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  response: unknown,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if (!call.write(response)) await once(call, "drain", { signal });
}

function endStream(
  call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  outcome: Outcome<unknown>,
): void {
  if ("ok" in outcome) call.end();
  else call.emit("error", outcome.failed);
}

/** tryShutdown alone waits for open streams for ever, so the deadline forces. */
async function stopServer(
  server: Server,
  bound: readonly string[],
  graceMs: number,
): Promise<void> {
  // Without channelz grpc-js does not know the connections that `forceShutdown` is to cut: clients
  // learned of it by their keepalive only. This cuts what is left of them after the grace.
  for (const address of bound) server.drain(address, graceMs);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
