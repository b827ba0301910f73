import { DESCRIPTOR_SET } from "../../gen/descriptor-set";
import { type Clock, systemClock } from "../../lib/clock";
import { createGrpcServer, type GrpcServer } from "../../lib/grpc/server";
import type { ServerTls } from "../../lib/grpc/tls";
import { createAuthenticator } from "../../lib/identity/authenticate";
import type { KeySet } from "../../lib/identity/key-set";
import type { SigningKey } from "../../lib/identity/signing-key";
import { type Log, silentLog } from "../../lib/log";
import type { Pool } from "../../lib/postgres/db";
import type { KeyProvider } from "./keys/key-provider";
import { CATALOG_ACCESS } from "./rpc/access";

export interface CatalogDeps {
  pool: Pool;
  keyProvider: KeyProvider;
  /** Public keys of rotation (developers, services) and of this service (VMs). */
  keySet: KeySet;
  /** Signs VM tokens and delivery sessions; its issuer is `murmur-catalog`. */
  signingKey: SigningKey;
  dataKeyCacheMs: number;
  tls?: ServerTls;
  clock?: Clock;
  log?: Log;
}

export interface Catalog {
  server: GrpcServer;
  /** Cleans up and watches what the service depends on, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const MAX_TIMEOUT_MS = 30_000;

/** Builds the catalog: secrets, workspaces, environments, and the register of VMs. */
export function createCatalog(deps: CatalogDeps): Catalog {
  const { keySet, clock = systemClock, log = silentLog } = deps;
  const server = createGrpcServer({
    authenticate: createAuthenticator({ keySet, service: "catalog", clock }),
    access: CATALOG_ACCESS,
    descriptorSet: DESCRIPTOR_SET,
    log,
    maxTimeoutMs: MAX_TIMEOUT_MS,
    ...(deps.tls && { tls: deps.tls }),
  });
  return { server, run: () => Promise.resolve() };
}
