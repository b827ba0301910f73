import type { Db } from "../../../../lib/postgres/db";

/** What a replica has to know to keep credentials in memory. */
export interface ChangesSince {
  /** Hashes in hex of what has changed since the earlier look; it may name some twice. */
  hashes: readonly string[];
  /** Where the next look goes on. */
  next: bigint;
  /** The database's clock, milliseconds since the epoch. */
  databaseMs: number;
}

/** Reads what has changed since an earlier look; undefined: from now on. */
export type ReadChanges = (db: Db, since: bigint | undefined) => Promise<ChangesSince>;

interface Row {
  next: bigint;
  database_ms: number;
  hashes: Buffer[] | null;
}

/**
 * By transaction numbers: what the earlier look did not see was under way then, or began later, so its
 * number is not below the lowest that was under way. No order of commits and no clock can hide one.
 */
export const readCredentialChanges: ReadChanges = async (db, since) => {
  const { rows } = await db.query<Row>(
    `select pg_snapshot_xmin(pg_current_snapshot()) as next,
       (extract(epoch from clock_timestamp()) * 1000)::float8 as database_ms,
       (select array_agg(hash) from rotation.credentials where changed_xid >= $1::xid8) as hashes`,
    [since === undefined ? null : String(since)],
    { name: "read_credential_changes", timeoutMs: 1_000 },
  );
  const [row] = rows;
  if (!row) throw new Error("the look for changes answered nothing");
  const hashes = (row.hashes ?? []).map((hash) => hash.toString("hex"));
  return { hashes, next: row.next, databaseMs: row.database_ms };
};
