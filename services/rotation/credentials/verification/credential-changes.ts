import type { Db } from "../../../../lib/postgres/db";
import type { PersonRef } from "../../people/store/person-store";
import { type Position, readPosition } from "./position";

/** What has changed since an earlier look. */
export interface Changes {
  credentials: readonly ChangedCredential[];
  people: readonly PersonRef[];
}

export interface ChangedCredential {
  tenantId: string;
  id: string;
  /** Of its value, in base64. */
  hash: string;
}

/** What a replica has to know to keep credentials and people in memory. */
export interface ChangesSince extends Changes {
  /** Where the next look goes on. */
  position: Position;
  /** Not all of them are named: they are too many. */
  isCut: boolean;
  /** The database's clock, milliseconds since the epoch. */
  databaseMs: number;
}

/** Reads what has changed since an earlier look; undefined: from now on. */
export type ReadChanges = (db: Db, since: Position | undefined) => Promise<ChangesSince>;

/** More of them are forgotten with everything else. */
const MAX_CHANGES = 10_000;

interface Row {
  position: string;
  database_ms: number;
  credentials: [string, string, string][] | null;
  people: [string, string][] | null;
}

/** Rows that the earlier snapshot did not see: what PostgreSQL itself calls visible decides. */
const CHANGED = `changed_xid >= pg_snapshot_xmin($1::pg_snapshot)
  and not pg_visible_in_snapshot(changed_xid, $1::pg_snapshot) limit ${MAX_CHANGES + 1}`;

/**
 * By snapshots: what the earlier look did not see was under way then, or began later. No order of commits
 * and no clock can hide one, and none is told twice, however long another transaction takes.
 */
export const readCredentialChanges: ReadChanges = async (db, since) => {
  const { rows } = await db.query<Row>(
    `select pg_current_snapshot()::text as position,
       (extract(epoch from clock_timestamp()) * 1000)::float8 as database_ms,
       (select array_agg(array[tenant_id, credential_id::text, encode(hash, 'base64')]) from
         (select tenant_id, credential_id, hash from rotation.credentials where ${CHANGED}) c)
         as credentials,
       (select array_agg(array[tenant_id, developer]) from
         (select tenant_id, developer from rotation.people where ${CHANGED}) p) as people`,
    [since?.text ?? null],
    { name: "read_credential_changes", timeoutMs: 1_000 },
  );
  const [row] = rows;
  const position = row && readPosition(row.position);
  if (!position) throw new Error("the look for changes answered nothing");
  const credentials = row.credentials ?? [];
  const people = row.people ?? [];
  return {
    credentials: credentials.map(([tenantId, id, hash]) => ({ tenantId, id, hash })),
    people: people.map(([tenantId, developer]) => ({ tenantId, developer })),
    isCut: Math.max(credentials.length, people.length) > MAX_CHANGES,
    position,
    databaseMs: row.database_ms,
  };
};
