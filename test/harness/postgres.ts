import { createPool } from "../../lib/postgres/pool";
import { type Pool } from "../../lib/postgres/db";
import { sensitive, type Sensitive } from "../../lib/sensitive";
import { askForPart } from "./parts-client";

export interface TestDatabase {
  readonly url: Sensitive<string>;
  readonly name: string;
  /** On the new database, closed by `drop`. */
  readonly pool: Pool;
  drop(): Promise<void>;
}

/**
 * A database of one's own on the run's PostgreSQL, with the schemas of these services as their
 * migrations make them (none: empty). Call it in `beforeAll` and `drop` it in `afterAll`.
 */
export async function createTestDatabase(...services: string[]): Promise<TestDatabase> {
  const { url } = await askForPart<{ url: string }>("database", ...services);
  const pool = createPool({
    url: sensitive(url),
    applicationName: "test",
    connectTimeoutMs: 20_000,
  });
  const name = new URL(url).pathname.slice(1);
  const drop = async () => {
    await pool.close();
    await dropDatabase(url, name);
  };
  return { url: sensitive(url), name, pool, drop };
}

async function dropDatabase(url: string, name: string): Promise<void> {
  const server = new URL(url);
  server.pathname = "/postgres";
  const admin = createPool({
    url: sensitive(server.href),
    applicationName: "test",
    max: 1,
    // It waits for a checkpoint, on a disk that others write to.
    timeoutMs: 60_000,
    connectTimeoutMs: 20_000,
  });
  try {
    await admin.query(`drop database if exists ${name} with (force)`);
  } finally {
    await admin.close();
  }
}
