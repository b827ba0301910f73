import { openChannel } from "../../lib/grpc/client";
import { createKeySet } from "../../lib/identity/key-set";
import { parseSigningKey } from "../../lib/identity/signing-key";
import type { Scope } from "../../lib/lifecycle";
import { startTelemetry } from "../../lib/telemetry";
import type { Log } from "../../lib/log";
import { checkSchema, readMigrations } from "../../lib/postgres/migrate";
import { migrationsDirectory } from "../../lib/postgres/migrations-directory";
import { createPool } from "../../lib/postgres/pool";
import type { RotationConfig } from "./config";
import { createRotation } from "./rotation";

const POOL_SIZE = 20;

/** Opens what rotation needs, checks that it fits together, and serves until the scope ends. */
export async function startRotation(config: RotationConfig, scope: Scope, log: Log): Promise<void> {
  const telemetry = await startTelemetry({
    service: "rotation",
    endpoint: config.otlpEndpoint,
    log,
  });
  scope.defer("telemetry", () => telemetry.stop());
  const pool = createPool({
    url: config.databaseUrl,
    applicationName: "murmur-rotation",
    max: POOL_SIZE,
    log,
  });
  scope.defer("database", () => pool.close());
  await checkSchema(pool, "rotation", await readMigrations(migrationsDirectory("rotation")));
  const catalog = openChannel({
    address: config.catalogAddress,
    ...(config.catalogTls && { tls: config.catalogTls }),
  });
  scope.defer("catalog channel", () => {
    catalog.close();
  });
  const rotation = createRotation({
    pool,
    catalog,
    keySet: createKeySet(config.keySetFile, { log }),
    signingKey: parseSigningKey(config.signingKey),
    earlierSigningKeys: config.earlierSigningKey ? [parseSigningKey(config.earlierSigningKey)] : [],
    quietMs: config.quietMs,
    log,
    ...(config.openRegistration && { openRegistration: config.openRegistration }),
    ...(config.signIn && { signIn: config.signIn }),
    ...(config.kafka && { kafka: config.kafka }),
    ...(config.tls && { tls: config.tls }),
  });
  scope.task("rotation", (signal) => rotation.run(signal));
  const port = await rotation.server.listen(config.listen);
  scope.defer("server", () => rotation.server.stop(config.shutdownGraceMs / 2));
  rotation.server.health.set("", true);
  scope.ready({ port });
}
