import { join } from "node:path";
import { createKeySet } from "../../lib/identity/key-set";
import { parseSigningKey } from "../../lib/identity/signing-key";
import type { Scope } from "../../lib/lifecycle";
import type { Log } from "../../lib/log";
import { checkSchema, readMigrations } from "../../lib/postgres/migrate";
import { createPool } from "../../lib/postgres/pool";
import { createCatalog } from "./catalog";
import type { CatalogConfig } from "./config";
import { openKeyProvider } from "./keys/open-key-provider";

const POOL_SIZE = 20;

/** Opens what the catalog needs, checks that it fits together, and serves until the scope ends. */
export async function startCatalog(config: CatalogConfig, scope: Scope, log: Log): Promise<void> {
  const pool = createPool({
    url: config.databaseUrl,
    applicationName: "murmur-catalog",
    max: POOL_SIZE,
    log,
  });
  scope.defer("database", () => pool.close());
  await checkSchema(pool, "catalog", await readMigrations(join(__dirname, "migrations")));
  const keyProvider = await openKeyProvider(pool, config.keyProvider);
  const catalog = createCatalog({
    pool,
    keyProvider,
    keySet: createKeySet(config.keySetFile),
    signingKey: parseSigningKey(config.signingKey),
    dataKeyCacheMs: config.dataKeyCacheMs,
    log,
    ...(config.tls && { tls: config.tls }),
  });
  scope.task("catalog", (signal) => catalog.run(signal));
  const port = await catalog.server.listen(config.listen);
  scope.defer("server", () => catalog.server.stop(config.shutdownGraceMs / 2));
  scope.ready({ port });
}
