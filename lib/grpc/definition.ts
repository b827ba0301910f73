import type { BidiHandler, ServerStreamHandler, UnaryHandler } from "./context";

/** One RPC as ts-proto writes it. */
export interface MethodDefinition {
  path: string;
  requestStream: boolean;
  responseStream: boolean;
  // The generated functions are contravariant in their message; their types are recovered below.
  requestSerialize: (value: never) => Buffer;
  requestDeserialize: (value: Buffer) => unknown;
  responseSerialize: (value: never) => Buffer;
  responseDeserialize: (value: Buffer) => unknown;
}

/** One service as ts-proto writes it (`XServiceService`). */
export type ServiceDefinition = Readonly<Record<string, MethodDefinition>>;

export type RequestOf<M extends MethodDefinition> = ReturnType<M["requestDeserialize"]>;
export type ResponseOf<M extends MethodDefinition> = ReturnType<M["responseDeserialize"]>;

/** The handler that fits an RPC. */
export type HandlerOf<M extends MethodDefinition> = M extends { requestStream: true }
  ? BidiHandler<RequestOf<M>, ResponseOf<M>>
  : M extends { responseStream: true }
    ? ServerStreamHandler<RequestOf<M>, ResponseOf<M>>
    : UnaryHandler<RequestOf<M>, ResponseOf<M>>;

/** A handler for each RPC of a service. */
export type HandlersOf<D extends ServiceDefinition> = { [K in keyof D]: HandlerOf<D[K]> };
