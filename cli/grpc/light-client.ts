import { type CallControl, type ClientOf } from "../../lib/grpc/client";
import { type MethodDefinition, type ServiceDefinition } from "../../lib/grpc/definition";
import { call } from "./call";
import { type Http2Session } from "./http2-session";

/** Deadline of calls that name none; streams have none. */
const TIMEOUT_MS = 15_000;

/** The calls of a service that take one request. */
export type LightClientOf<D extends ServiceDefinition> = {
  [K in keyof D as D[K] extends { requestStream: true } ? never : K]: ClientOf<D>[K];
};

/**
 * The client of one service, as lib/grpc/client.ts makes it but over Node's own HTTP/2: loading
 * grpc-js takes longer than all the rest of a command.
 */
export function createLightClient<D extends ServiceDefinition>(
  definition: D,
  session: Http2Session,
): LightClientOf<D> {
  const methods = Object.entries(definition).map(([name, method]) => [
    name,
    method.responseStream
      ? (request: unknown, control: CallControl = {}) => call(session, method, request, control)
      : (request: unknown, control: CallControl = {}) => unary(session, method, request, control),
  ]);
  return Object.fromEntries(methods) as LightClientOf<D>;
}

async function unary(
  session: Http2Session,
  method: MethodDefinition,
  request: unknown,
  control: CallControl,
): Promise<unknown> {
  const responses = call(session, method, request, { timeoutMs: TIMEOUT_MS, ...control });
  let response: unknown;
  // To the end: the status comes after the message.
  for await (const message of responses) response = message;
  if (response === undefined) throw new Error(`${method.path} answered without a message`);
  return response;
}
