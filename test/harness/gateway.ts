import { join } from "node:path";
import { openChannel } from "../../lib/grpc/client";
import { issueDeveloperToken } from "../../lib/identity/claims";
import type { Role } from "../../lib/identity/principal";
import type { Log } from "../../lib/log";
import { createGateway, type Gateway } from "../../services/gateway/gateway";
import type { TestCatalog } from "./catalog";
import { startCatalog } from "./catalog";
import { startRotation, type TestRotation, type TestRotationOptions } from "./rotation";

/** What was answered to a request. */
export interface RestResponse {
  status: number;
  headers: Headers;
  /** As text, whatever it is. */
  text: string;
  /** Of JSON; undefined where there was none. */
  json: Record<string, unknown>;
}

export interface RestCall {
  method?: string;
  /** Sent as JSON, unless it is a text or bytes already. */
  body?: unknown;
  headers?: Record<string, string>;
  /** As a bearer; null: none. */
  token?: string | null;
}

/** Calls a gateway as somebody. */
export type Rest = (path: string, call?: RestCall) => Promise<RestResponse>;

/** A gateway in front of a real catalog and a real rotation, all in this process. */
export interface TestGateway {
  /** `http://127.0.0.1:port`, or https */
  url: string;
  gateway: Gateway;
  catalog: TestCatalog;
  rotation: TestRotation;
  /** An identity token of tenant t1, of an owner unless told. */
  token(who?: { tenantId?: string; role?: Role; id?: string }): Promise<string>;
  /** Calls with this token unless the call has its own. */
  rest(token: string | undefined): Rest;
  stop(): Promise<void>;
}

export interface TestGatewayOptions {
  /** Another gateway in front of the same services. */
  beside?: Pick<TestGateway, "catalog" | "rotation">;
  /** Other ways to the services, such as proxies. */
  addresses?: { catalog?: string; rotation?: string };
  trustedProxies?: readonly string[];
  rateLimit?: number;
  timeoutMs?: number;
  /** Of a built dashboard; none unless told. */
  dashboardDirectory?: string;
  tls?: { certFile: string; keyFile: string };
  /** How people sign in at rotation. */
  signIn?: NonNullable<TestRotationOptions["signIn"]>;
  log?: Log;
}

/** Starts it on a free port; `stop` it in `afterAll`. */
export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const { beside, addresses, log } = options;
  const services = beside ?? (await startServices(options));
  const { catalog, rotation } = services;
  const channels = {
    catalog: openChannel({ address: addresses?.catalog ?? catalog.address }),
    rotation: openChannel({ address: addresses?.rotation ?? rotation.address }),
  };
  const gateway = await createGateway({
    ...{ channels, signingKey: catalog.gatewayKey },
    rateLimit: options.rateLimit ?? 1_000_000,
    trustedProxies: options.trustedProxies ?? [],
    dashboardDirectory: options.dashboardDirectory ?? join(__dirname, "no-dashboard"),
    ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    ...(options.tls && { tls: options.tls }),
    ...(log && { log }),
  });
  const scheme = options.tls ? "https" : "http";
  const url = `${scheme}://127.0.0.1:${await gateway.listen("127.0.0.1:0")}`;
  return {
    ...{ url, gateway, catalog, rotation },
    token: ({ tenantId = "t1", role = "owner", id = "github/alice" } = {}) =>
      issueDeveloperToken(catalog.rotationKey, {
        ...{ tenantId, developer: id, role, ttlSeconds: 3600 },
      }),
    rest: (token) => restAt(url, token),
    async stop() {
      // Longer than any request takes: what still runs is answered.
      await gateway.stop(30_000);
      for (const channel of Object.values(channels)) channel.close();
      if (!beside) await (services as Services).stop();
    },
  };
}

/** Calls the gateway at `url`. */
export function restAt(url: string, token: string | undefined): Rest {
  return async (path, { method = "GET", body, headers = {}, token: own = token } = {}) => {
    const isRaw = typeof body === "string" || body instanceof Uint8Array;
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(typeof own === "string" && { authorization: `Bearer ${own}` }),
        ...headers,
      },
      ...(body !== undefined && {
        body: isRaw ? (body as string | Uint8Array<ArrayBuffer>) : JSON.stringify(body),
      }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") ?? false;
    const json = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>;
    return { status: response.status, headers: response.headers, text, json };
  };
}

interface Services {
  catalog: TestCatalog;
  rotation: TestRotation;
  stop(): Promise<void>;
}

/** The catalog asks rotation about API keys, and rotation the catalog about the rest. */
async function startServices({ log, signIn }: TestGatewayOptions): Promise<Services> {
  const first = await startCatalog();
  const rotation = await startRotation({
    catalog: first,
    ...(signIn && { signIn }),
    ...(log && { log }),
  });
  const channel = openChannel({ address: rotation.address });
  const catalog = await startCatalog({ beside: first, rotation: channel, ...(log && { log }) });
  return {
    ...{ catalog, rotation },
    async stop() {
      await rotation.stop();
      await catalog.stop();
      channel.close();
      await first.stop();
    },
  };
}
