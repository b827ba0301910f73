import type { Db } from "../../../../lib/postgres/db";
import type { PersonRef } from "../../people/store/person-store";

/** What has changed since an earlier look; it may name some twice. */
export interface Changes {
  /** Hashes of credentials in base64. */
  hashes: readonly string[];
  people: readonly PersonRef[];
}

/** What a replica has to know to keep credentials and people in memory. */
export interface ChangesSince extends Changes {
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
  people: [string, string][] | null;
}

/**
 * By transaction numbers: what the earlier look did not see was under way then, or began later, so its
 * number is not below the lowest that was under way. No order of commits and no clock can hide one.
 */
export const readCredentialChanges: ReadChanges = async (db, since) => {
  const { rows } = await db.query<Row>(
    `select pg_snapshot_xmin(pg_current_snapshot()) as next,
       (extract(epoch from clock_timestamp()) * 1000)::float8 as database_ms,
       (select array_agg(hash) from rotation.credentials where changed_xid >= $1::xid8) as hashes,
       (select array_agg(array[tenant_id, developer]) from rotation.people
        where changed_xid >= $1::xid8) as people`,
    [since === undefined ? null : String(since)],
    { name: "read_credential_changes", timeoutMs: 1_000 },
  );
  const [row] = rows;
  if (!row) throw new Error("the look for changes answered nothing");
  return {
    hashes: (row.hashes ?? []).map((hash) => hash.toString("base64")),
    people: (row.people ?? []).map(([tenantId, developer]) => ({ tenantId, developer })),
    next: row.next,
    databaseMs: row.database_ms,
  };
};
