import { startPostgres } from "../dev/parts/postgres";
import type { Pool } from "../lib/postgres/db";
import { migrate, readMigrations } from "../lib/postgres/migrate";
import { migrationsDirectory } from "../lib/postgres/migrations-directory";
import { createPool } from "../lib/postgres/pool";
import { sensitive } from "../lib/sensitive";

type DatabaseWork<T> = (url: string, pool: Pool) => Promise<T>;

/** A PostgreSQL of its own, whose commits are durable, with the schema of the catalog. */
export function withCatalogDatabase<T>(work: DatabaseWork<T>): Promise<T> {
  return withDatabaseOf("catalog", work);
}

/** The same with the schema of a service. */
export async function withDatabaseOf<T>(
  service: "catalog" | "rotation",
  work: DatabaseWork<T>,
): Promise<T> {
  const postgres = await startPostgres();
  const pool = createPool({ url: sensitive(postgres.url), applicationName: "bench", max: 16 });
  try {
    await migrate(pool, service, await readMigrations(migrationsDirectory(service)));
    return await work(postgres.url, pool);
  } finally {
    await pool.close();
    await postgres.stop();
  }
}
