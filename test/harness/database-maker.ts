import { createPool } from "../../lib/postgres/pool";
import { migrate, readMigrations } from "../../lib/postgres/migrate";
import { migrationsDirectory } from "../../lib/postgres/migrations-directory";
import { type Pool } from "../../lib/postgres/db";
import { sensitive } from "../../lib/sensitive";

export interface DatabaseMaker {
  /** The URL of a new database that holds the schemas of these services. */
  make(services: string[]): Promise<string>;
  close(): Promise<void>;
}

/** Migrates a template once for each set of services; databases are copies of it. */
export function createDatabaseMaker(serverUrl: string): DatabaseMaker {
  const admin = connect(serverUrl);
  const templates = new Map<string, Promise<string>>();
  let count = 0;
  let queue: Promise<unknown> = Promise.resolve();

  const copy = async (services: string[]) => {
    const key = ["template", ...services.map(toSchema).sort()].join("_");
    const template = templates.get(key) ?? makeTemplate(admin, serverUrl, key, services);
    templates.set(key, template);
    const name = `test_${++count}`;
    await admin.query(`create database ${name} template ${await template}`);
    return withDatabase(serverUrl, name);
  };
  return {
    make: (services) => {
      // One at a time: PostgreSQL refuses to copy a template that is being copied or used.
      const next = queue.then(() => copy(services));
      queue = next.catch(() => undefined);
      return next;
    },
    close: () => admin.close(),
  };
}

async function makeTemplate(
  admin: Pool,
  serverUrl: string,
  name: string,
  services: string[],
): Promise<string> {
  await admin.query(`create database ${name}`);
  const pool = connect(withDatabase(serverUrl, name));
  try {
    for (const service of services) {
      const migrations = await readMigrations(migrationsDirectory(service));
      await migrate(pool, toSchema(service), migrations);
    }
    return name;
  } finally {
    await pool.close();
  }
}

function connect(url: string): Pool {
  return createPool({
    url: sensitive(url),
    applicationName: "test-harness",
    max: 1,
    timeoutMs: 60_000,
    connectTimeoutMs: 20_000,
  });
}

function toSchema(service: string): string {
  return service.replaceAll("-", "_");
}

function withDatabase(url: string, name: string): string {
  const result = new URL(url);
  result.pathname = `/${name}`;
  return result.href;
}
