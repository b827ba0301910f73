import { readFileSync } from "node:fs";
import type { Environment } from "../../config";
import { createLog } from "../../log";
import { sensitive } from "../../sensitive";
import { migrate, readMigrations } from "../migrate";
import { migrationsDirectory } from "../migrations-directory";
import { createPool } from "../pool";

const SERVICES = ["catalog", "rotation"];
const USAGE = "usage: npm run migrate -- catalog|rotation …";

/** Brings the schemas of the named services to the newest migration, each in its own database. */
async function main(services: string[], env: Environment): Promise<void> {
  if (services.length === 0 || services.some((name) => !SERVICES.includes(name))) {
    throw new Error(USAGE);
  }
  for (const service of services) await migrateService(service, env);
}

async function migrateService(service: string, env: Environment): Promise<void> {
  const variable = `MURMUR_${service.toUpperCase()}_DATABASE_URL_FILE`;
  const file = env[variable];
  if (file === undefined) throw new Error(`${variable} is not set`);
  const url = sensitive(readFileSync(file, "utf8").trim());
  const log = createLog("migrate");
  const pool = createPool({ url, applicationName: "murmur-migrate", max: 1, log });
  try {
    const applied = await migrate(
      pool,
      service,
      await readMigrations(migrationsDirectory(service)),
      log,
    );
    log.info("schema is current", { schema: service, applied: applied.length });
  } finally {
    await pool.close();
  }
}

void main(process.argv.slice(2), process.env).catch((error: unknown) => {
  process.stderr.write(`murmur migrate: ${error instanceof Error ? error.message : "failed"}\n`);
  process.exitCode = 1;
});
