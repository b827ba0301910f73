import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { startPostgres } from "../../dev/parts/postgres";
import { updateSchemas } from "../../dev/stack/services";
import type { TestStack } from "../harness/stack";

/** Every row of every table of the services, as a dump holds them. */
export type Dump = { table: string; rows: string }[];

const TABLES = `select format('%I.%I', schemaname, tablename) as table from pg_tables
  where schemaname in ('catalog', 'rotation') and tablename <> 'schema_migrations' order by 1`;

/** Reads it in one transaction, as pg_dump does. */
export async function dump(url: string): Promise<Dump> {
  return withClient(url, async (client) => {
    await client.query("begin isolation level repeatable read read only");
    const { rows: tables } = await client.query<{ table: string }>(TABLES);
    const result: Dump = [];
    for (const { table } of tables) {
      // As text: numbers of 64 bits would not survive JavaScript.
      const text = `select coalesce(json_agg(t), '[]')::text as rows from ${table} as t`;
      const { rows } = await client.query<{ rows: string }>(text);
      result.push({ table, rows: rows[0]!.rows });
    }
    await client.query("commit");
    return result;
  });
}

/**
 * Puts a new PostgreSQL cluster with these rows in the place of the stack's, under its address and
 * password, as an operator does who restores a dump; the stack's part is killed and comes back on it.
 */
export async function restore(stack: TestStack, rows: Dump): Promise<void> {
  const { place } = stack;
  const directory = mkdtempSync(join(tmpdir(), "murmur-restored-"));
  try {
    const fresh = await startPostgres({ directory });
    // Its URL is written where the migrations look for it, and the old one back afterwards.
    await updateSchemas({ ...place, postgresUrl: fresh.url });
    await withClient(fresh.url, async (client) => {
      await load(client, rows);
      const password = new URL(place.postgresUrl).password;
      await client.query(`alter user postgres password '${password}'`);
    });
    await fresh.stop();
    await updateSchemas(place);
    // The running server follows its directory to the new name until it is killed.
    const data = join(place.dataDir, "postgres", "data");
    renameSync(data, `${data}.before`);
    renameSync(join(directory, "data"), data);
    await stack.kill("postgres");
    // What is left of the old server's processes may still be at its files.
    rmSync(`${data}.before`, { recursive: true, maxRetries: 20 });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function load(client: Client, rows: Dump): Promise<void> {
  // Neither triggers nor foreign keys while rows come in any order.
  await client.query("set session_replication_role = replica");
  await client.query(`truncate ${rows.map(({ table }) => table).join()}`);
  for (const { table, rows: text } of rows) {
    await client.query(
      `insert into ${table} overriding system value
       select * from json_populate_recordset(null::${table}, $1::json)`,
      [text],
    );
  }
  // Identity columns go on behind what was loaded.
  const { rows: sequences } = await client.query<{ text: string }>(
    `select format('select setval(%L, coalesce((select max(%I) from %I.%I), 0) + 1, false)',
       pg_get_serial_sequence(format('%I.%I', table_schema, table_name), column_name),
       column_name, table_schema, table_name) as text
     from information_schema.columns
     where table_schema in ('catalog', 'rotation') and is_identity = 'YES'`,
  );
  for (const { text } of sequences) await client.query(text);
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
