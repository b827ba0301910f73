import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createHash } from "node:crypto";
import { silentLog, type Log } from "../log";
import { type Db, type Pool, type Tx } from "./db";
import { withTransaction } from "./transaction";

/** One forward step of a schema: a file `NNNN_what.sql`. */
export interface Migration {
  name: string;
  sql: string;
}

interface Step extends Migration {
  version: number;
  checksum: string;
  breaking: boolean;
}

interface AppliedRow {
  version: number;
  name: string;
  checksum: string;
  breaking: boolean;
}

const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;
const SERVICE_NAME = /^[a-z][a-z0-9_]*$/;
const BREAKING = /^-- breaking\b/m;
const TIMEOUT_MS = 10 * 60_000;

/** The migrations of a directory in order. Other files, such as schema.sql, are not migrations. */
export async function readMigrations(directory: string): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => FILE_NAME.test(name)).sort();
  return Promise.all(
    names.map(async (name) => ({ name, sql: await readFile(join(directory, name), "utf8") })),
  );
}

/**
 * Brings the schema named after the service to the newest migration, creating it when absent, and
 * returns the names that it applied. Each migration is one transaction under one advisory lock, so
 * several migrators at once are safe and a failed one leaves the schema at the step before. Throws
 * when a file that was applied has changed since, or is no longer there.
 */
export async function migrate(
  pool: Pool,
  service: string,
  migrations: readonly Migration[],
  log: Log = silentLog,
): Promise<string[]> {
  assertServiceName(service);
  const steps = toSteps(migrations);
  const done: string[] = [];
  for (;;) {
    const step = await withTransaction(pool, (tx) => applyNext(tx, service, steps));
    if (!step) return done;
    log.info("migration applied", { schema: service, migration: step.name });
    done.push(step.name);
  }
}

/**
 * Throws unless this binary can work with the schema as it is: it refuses one that is older than
 * it needs, one that is newer and marked breaking, and one whose applied files differ from ours.
 */
export async function checkSchema(
  db: Db,
  service: string,
  migrations: readonly Migration[],
): Promise<void> {
  assertServiceName(service);
  const steps = toSteps(migrations);
  const applied = await readApplied(db, service);
  assertSameFiles(service, steps, applied);
  const needed = steps.at(-1)?.version ?? 0;
  const present = applied.at(-1)?.version ?? 0;
  const versions = `schema "${service}" is at version ${present}, this program needs ${needed}`;
  if (present < needed) throw new Error(`${versions}: run npm run migrate -- ${service}`);
  const breaking = applied.find((row) => row.version > needed && row.breaking);
  if (breaking) throw new Error(`${versions} and cannot work with ${breaking.name}: upgrade it`);
}

async function applyNext(
  tx: Tx,
  service: string,
  steps: readonly Step[],
): Promise<Step | undefined> {
  const limit = { timeoutMs: TIMEOUT_MS };
  await tx.query(`set local statement_timeout = ${TIMEOUT_MS}`);
  const lock = "select pg_advisory_xact_lock(hashtextextended('murmur.migrate.' || $1, 0))";
  await tx.query(lock, [service], limit);
  await createRecord(tx, service);
  const applied = await readApplied(tx, service);
  assertSameFiles(service, steps, applied);
  const latest = applied.at(-1)?.version ?? 0;
  const step = steps.find(({ version }) => version > latest);
  if (!step) return undefined;
  await tx.query(`set local search_path = ${service}, public`);
  await tx.query(step.sql, undefined, limit);
  await tx.query(
    `insert into ${service}.schema_migrations (version, name, checksum, breaking)
     values ($1, $2, $3, $4)`,
    [step.version, step.name, step.checksum, step.breaking],
  );
  return step;
}

async function createRecord(tx: Tx, service: string): Promise<void> {
  if (await hasRecord(tx, service)) return;
  await tx.query(`
    create schema if not exists ${service};
    create table ${service}.schema_migrations (
      version    integer primary key,
      name       text not null,
      checksum   text not null,
      breaking   boolean not null,
      applied_at timestamptz not null default now()
    )`);
}

async function hasRecord(db: Db, service: string): Promise<boolean> {
  const { rows } = await db.query<{ present: boolean }>(
    "select to_regclass($1 || '.schema_migrations') is not null as present",
    [service],
  );
  return rows[0]?.present ?? false;
}

async function readApplied(db: Db, service: string): Promise<AppliedRow[]> {
  if (!(await hasRecord(db, service))) return [];
  const { rows } = await db.query<AppliedRow>(
    `select version, name, checksum, breaking from ${service}.schema_migrations order by version`,
  );
  return rows;
}

function assertSameFiles(
  service: string,
  steps: readonly Step[],
  applied: readonly AppliedRow[],
): void {
  const newest = steps.at(-1)?.version ?? 0;
  for (const row of applied.filter(({ version }) => version <= newest)) {
    const step = steps.find(({ version }) => version === row.version);
    if (step?.checksum === row.checksum) continue;
    const what = step ? `${step.name} has changed since it was applied` : `${row.name} is missing`;
    throw new Error(`schema "${service}": migration ${what}; applied migrations never change`);
  }
}

function toSteps(migrations: readonly Migration[]): Step[] {
  const steps = migrations.map(({ name, sql }) => {
    const version = Number(FILE_NAME.exec(name)?.[1]);
    if (!version) throw new Error(`migration "${name}" must be named NNNN_what.sql`);
    const checksum = createHash("sha256").update(sql).digest("hex");
    return { name, sql, version, checksum, breaking: BREAKING.test(sql) };
  });
  steps.sort((a, b) => a.version - b.version);
  steps.forEach((step, index) => {
    if (step.version === index + 1) return;
    throw new Error(`migration "${step.name}" must follow ${index} without a gap or a double`);
  });
  return steps;
}

/** The name goes into SQL text, where a parameter cannot. */
function assertServiceName(service: string): void {
  if (!SERVICE_NAME.test(service)) throw new Error(`"${service}" is not a schema name`);
}
