import type { FastifyInstance } from "fastify";
import { type Clock, systemClock } from "../../lib/clock";
import type { Channel } from "../../lib/grpc/client";
import type { SigningKey } from "../../lib/identity/signing-key";
import { createVouching } from "../../lib/identity/vouch";
import { type Log, silentLog } from "../../lib/log";
import { createDashboard } from "./dashboard/dashboard";
import { addHealth } from "./http/health";
import { recordAnswers, serveRoute } from "./http/serve-route";
import { createHttpServer, refuseOtherMethods } from "./http/server";
import { createValidation } from "./http/validation";
import type { JsonSchema } from "./json/schema";
import { openApiDocument } from "./openapi/document";
import type { Route } from "./routes/route";
import { allRoutes } from "./routes/routes";
import { createRouteKit } from "./routes/rpc-route";
import { type BackendName, createBackends } from "./upstream/backends";

export interface GatewayDeps {
  /** Closed by whoever opened them. */
  channels: Readonly<Record<BackendName, Channel>>;
  /** Vouches for clients; its issuer is `murmur-gateway`. */
  signingKey: SigningKey;
  tls?: { certFile: string; keyFile: string };
  trustedProxies?: readonly string[];
  rateLimit: number;
  /** Of the built dashboard. */
  dashboardDirectory: string;
  /** Of a request, event streams aside; 10 s unless told. */
  timeoutMs?: number;
  clock?: Clock;
  log?: Log;
}

export interface Gateway {
  /** What is served, as documented. */
  routes: readonly Route[];
  document: JsonSchema;
  /** Binds `host:port` (port 0 picks one) and returns the port. */
  listen(address: string): Promise<number>;
  /** Ends event streams, lets running requests end, and cuts what is left after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

const TIMEOUT_MS = 10_000;

/** Builds the gateway: REST for what services do by gRPC, with the caller's own credential. */
export async function createGateway(deps: GatewayDeps): Promise<Gateway> {
  const { channels, signingKey, clock = systemClock, log = silentLog } = deps;
  const vouching = createVouching(signingKey, clock);
  const backends = createBackends({ channels, vouching, clock });
  const kit = createRouteKit(backends);
  const routes = allRoutes(kit);
  const document = openApiDocument(routes, kit.components);
  const stopping = new AbortController();
  const dashboard = createDashboard(deps.dashboardDirectory);
  const app = await createHttpServer({
    ...{ tls: deps.tls, trustedProxies: deps.trustedProxies ?? [] },
    ...{ rateLimit: deps.rateLimit, log },
    answerUnknown: (request, reply) => dashboard.answer(request, reply),
  });
  recordAnswers(app, log);
  closeWhatEnds(app, stopping.signal);
  addHealth(app, { backends, document, stopping: stopping.signal });
  await dashboard.serve(app);
  const validation = createValidation(kit.components);
  const { timeoutMs = TIMEOUT_MS } = deps;
  const serving = { validation, clock, log, stopping: stopping.signal, timeoutMs };
  for (const route of routes) serveRoute(app, serving, route);
  for (const [path, methods] of methodsByPath(routes)) refuseOtherMethods(app, path, methods);
  return {
    routes,
    document,
    listen: (address) => listen(app, address),
    async stop(graceMs) {
      stopping.abort();
      const cut = setTimeout(() => {
        app.server.closeAllConnections();
      }, graceMs);
      try {
        await app.close();
      } finally {
        clearTimeout(cut);
      }
    },
  };
}

/**
 * A stop closes what is idle when it begins; what was under way then and kept its connection open
 * would hold the stop up until its client lets go.
 */
function closeWhatEnds(app: FastifyInstance, stopping: AbortSignal): void {
  app.addHook("onResponse", (_request, _reply, done) => {
    // The connection becomes idle behind this.
    if (stopping.aborted) setImmediate(() => app.server.closeIdleConnections());
    done();
  });
}

function methodsByPath(routes: readonly Route[]): Map<string, string[]> {
  const byPath = new Map<string, string[]>();
  for (const { path, method } of routes) byPath.set(path, [...(byPath.get(path) ?? []), method]);
  return byPath;
}

async function listen(app: FastifyInstance, address: string): Promise<number> {
  const at = address.lastIndexOf(":");
  const host = address.slice(0, at).replace(/^\[|\]$/g, "");
  await app.listen({ host, port: Number(address.slice(at + 1)) });
  const bound = app.server.address();
  if (bound === null || typeof bound === "string") throw new Error("not bound to a port");
  return bound.port;
}
