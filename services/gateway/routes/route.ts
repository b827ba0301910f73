import type { JsonSchema } from "../json/schema";
import type { OnBehalf } from "../upstream/backends";

/** What a handler knows of a request that its schemas have let through. */
export interface RestRequest {
  /** By name, of the path. */
  params: Readonly<Record<string, string | number | boolean>>;
  query: Readonly<Record<string, unknown>>;
  /** Of the body; empty when there was none. */
  body: Readonly<Record<string, unknown>>;
  /** A header's value, by its name in lower case. */
  readonly header: (name: string) => string | undefined;
  /** For whom services are called. */
  on: OnBehalf;
  /** In which the client's browser keeps a session. */
  cookie: SessionCookie;
}

/** A session's cookie, as it is to be for the client that asks. */
export interface SessionCookie {
  /** Whether it is what the request is made with. */
  isUsed: boolean;
  /** Makes the `Set-Cookie` of a session's value; throws SESSION_NEEDS_TLS where there is to be none. */
  keeper(): (value: string) => string;
  /** The `Set-Cookie` that ends it. */
  forget(): string;
}

/** One event of a stream (HTML, section 9.2). */
export interface ServerSentEvent {
  id: string;
  event: string;
  data: unknown;
}

/** An answer without a body (204), with JSON, or with events until the iterable ends. */
export interface RestAnswer {
  status: number;
  body?: unknown;
  headers?: Readonly<Record<string, string>>;
  events?: AsyncIterable<ServerSentEvent>;
}

/** What is documented of an answer. */
export interface DocumentedAnswer {
  description: string;
  /** Absent: it has no body. */
  schema?: JsonSchema;
  /** `application/json` unless told. */
  mediaType?: string;
}

/** One route: what is served, what is documented, and what is checked come from here. */
export interface Route {
  method: "GET" | "PUT" | "POST" | "DELETE";
  /** `/v1/secrets/{name}`. */
  path: string;
  /** What it is about: `secrets`. */
  tag: string;
  /** Unique: `getSecret`. */
  operationId: string;
  summary: string;
  description?: string;
  /** By name; every name in the path has one. */
  params: Readonly<Record<string, JsonSchema>>;
  query?: Readonly<Record<string, JsonSchema>>;
  /** Headers beside the usual, by name. */
  headers?: Readonly<Record<string, JsonSchema>>;
  /** Of an object; absent: none is read. */
  body?: JsonSchema;
  /** A body that cannot be read as an object counts as an empty one: the handler says what is missing. */
  hasLenientBody?: true;
  /** Largest body, in bytes; 1 MiB unless told. */
  maxBodyBytes?: number;
  /** By status; errors are alike for all routes. */
  answers: Readonly<Record<number, DocumentedAnswer>>;
  /** How long it may take; 10 s unless told. */
  timeoutMs?: number;
  handle(request: RestRequest): Promise<RestAnswer>;
}

/** The path with its names filled in: each route has one spelling, by which scopes and audit know it. */
export function canonicalPath(
  { path }: Pick<Route, "path">,
  params: RestRequest["params"],
): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(params[name] ?? "")),
  );
}

/** The names in a path. */
export function namesIn(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
}

/** `/v1/secrets/{name}` as Fastify writes it: `/v1/secrets/:name`. */
export function toRouterPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}
