import { isAppError } from "../../lib/errors";
import { type Channel, openChannel } from "../../lib/grpc/client";
import { createKeySet } from "../../lib/identity/key-set";
import { parseSigningKey } from "../../lib/identity/signing-key";
import type { Scope } from "../../lib/lifecycle";
import { startTelemetry } from "../../lib/telemetry";
import type { Log } from "../../lib/log";
import { checkSchema, readMigrations } from "../../lib/postgres/migrate";
import { migrationsDirectory } from "../../lib/postgres/migrations-directory";
import { createPool } from "../../lib/postgres/pool";
import { type Catalog, createCatalog } from "./catalog";
import type { CatalogConfig } from "./config";
import { openKeyProvider } from "./keys/open-key-provider";
import { createPostgresKeyStore } from "./store/postgres-key-store";

const POOL_SIZE = 20;

/** Opens what the catalog needs, checks that it fits together, and serves until the scope ends. */
export async function startCatalog(config: CatalogConfig, scope: Scope, log: Log): Promise<void> {
  const telemetry = await startTelemetry({
    service: "catalog",
    endpoint: config.otlpEndpoint,
    log,
  });
  scope.defer("telemetry", () => telemetry.stop());
  const pool = createPool({
    url: config.databaseUrl,
    applicationName: "murmur-catalog",
    max: POOL_SIZE,
    log,
  });
  scope.defer("database", () => pool.close());
  await checkSchema(pool, "catalog", await readMigrations(migrationsDirectory("catalog")));
  const keyProvider = await openKeyProvider(createPostgresKeyStore(pool), config.keyProvider);
  const rotation = openRotation(config);
  scope.defer("rotation channel", () => rotation?.close());
  const catalog = createCatalog({
    pool,
    keyProvider,
    keySet: createKeySet(config.keySetFile, { log }),
    signingKey: parseSigningKey(config.signingKey),
    dataKeyCacheMs: config.dataKeyCacheMs,
    log,
    ...(config.tls && { tls: config.tls }),
    ...(rotation && { rotation }),
  });
  await refuseWrongKeys(catalog, log);
  scope.task("catalog", (signal) => catalog.run(signal));
  const port = await catalog.server.listen(config.listen);
  scope.defer("server", () => catalog.server.stop(config.shutdownGraceMs / 2));
  scope.ready({ port });
}

function openRotation({ rotationAddress, rotationTls }: CatalogConfig): Channel | undefined {
  if (rotationAddress === undefined) return undefined;
  return openChannel({ address: rotationAddress, ...(rotationTls && { tls: rotationTls }) });
}

/** A wrong keyring refuses the start; a key provider that is away does not, it is asked again. */
async function refuseWrongKeys(catalog: Catalog, log: Log): Promise<void> {
  try {
    await catalog.checkKeys();
  } catch (error) {
    if (!isAppError(error, "UNAVAILABLE")) throw error;
    log.warn("key provider is away at the start", { error });
  }
}
