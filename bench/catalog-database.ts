import { startPostgres } from "../dev/parts/postgres";
import type { Pool } from "../lib/postgres/db";
import { migrate, readMigrations } from "../lib/postgres/migrate";
import { migrationsDirectory } from "../lib/postgres/migrations-directory";
import { createPool } from "../lib/postgres/pool";
import { sensitive } from "../lib/sensitive";

/** A PostgreSQL of its own, whose commits are durable, with the schema of the catalog. */
export async function withCatalogDatabase<T>(
  work: (url: string, pool: Pool) => Promise<T>,
): Promise<T> {
  const postgres = await startPostgres();
  const pool = createPool({ url: sensitive(postgres.url), applicationName: "bench", max: 16 });
  try {
    await migrate(pool, "catalog", await readMigrations(migrationsDirectory("catalog")));
    return await work(postgres.url, pool);
  } finally {
    await pool.close();
    await postgres.stop();
  }
}
