import { type Db, type Tx } from "./db";

/**
 * An append-only table that announces what a transaction changed. Rows are written in that
 * transaction and read in the order `(xid, id)` below the oldest transaction still open: by `id`
 * alone a reader passes rows that commit late (measured: a third lost with 16 writers). `Row` is
 * what the service's own columns hold, named as they are in SQL.
 */
export interface Outbox<Row extends object> {
  /** The table is `<schema>.outbox`, see outboxDdl. */
  schema: string;
  /** The service's own columns. */
  columns: readonly (keyof Row & string)[];
}

/** Where a reader is: everything up to and including this row has been read. */
export interface OutboxCursor {
  xid: bigint;
  id: bigint;
}

export interface OutboxEntry<Row> {
  cursor: OutboxCursor;
  /** When the row was written, by the database's clock. */
  at: Date;
  row: Row;
}

export const OUTBOX_START: OutboxCursor = { xid: 0n, id: -1n };

/**
 * The tables of an outbox, to be pasted into a migration of the service: the rows with the service's
 * own columns, and one row for each publisher with its lease and its cursor.
 */
export function outboxDdl(schema: string, columns: string): string {
  return `create table ${schema}.outbox (
  id  bigint generated always as identity,
  xid xid8 not null default pg_current_xact_id(),
  at  timestamptz not null default clock_timestamp(),
  ${columns},
  primary key (xid, id)
);

${outboxPublisherDdl(schema)}`;
}

/** The table of the publishers alone, where the outbox itself is there already. */
export function outboxPublisherDdl(schema: string): string {
  return `create table ${schema}.outbox_publisher (
  name              text primary key,
  holder            uuid not null,
  lease_until       timestamptz not null,
  cursor_xid        xid8 not null default '0',
  cursor_id         bigint not null default -1,
  system_identifier bigint not null
);
`;
}

/** The present end: a reader that starts here sees every row whose transaction is not over yet. */
export async function outboxEnd(db: Db): Promise<OutboxCursor> {
  const { rows } = await db.query<{ xid: bigint }>(
    "select pg_snapshot_xmin(pg_current_snapshot()) as xid",
  );
  return { xid: rows[0]?.xid ?? 0n, id: -1n };
}

/** The next rows after the cursor, in order, of transactions that nothing can come before. */
export async function readOutbox<Row extends object>(
  db: Db,
  { schema, columns }: Outbox<Row>,
  after: OutboxCursor,
  limit: number,
): Promise<OutboxEntry<Row>[]> {
  const { rows } = await db.query<Row & { outbox_xid: bigint; outbox_id: bigint; outbox_at: Date }>(
    `select xid as outbox_xid, id as outbox_id, at as outbox_at, ${columns.join(", ")}
       from ${schema}.outbox
      where (xid, id) > ($1::xid8, $2::bigint)
        and xid < pg_snapshot_xmin(pg_current_snapshot())
      order by xid, id
      limit $3`,
    [after.xid, after.id, limit],
    { name: `read_outbox_${schema}` },
  );
  return rows.map((row) => ({
    cursor: { xid: row.outbox_xid, id: row.outbox_id },
    at: row.outbox_at,
    row,
  }));
}

/**
 * Whether this cursor was made by a database that was since replaced by an older one: it is then
 * ahead of every row to come and would read nothing, without an error, for a long time.
 */
export async function isCursorAhead(db: Db, cursor: OutboxCursor): Promise<boolean> {
  const { rows } = await db.query<{ ahead: boolean }>(
    "select $1::xid8 > pg_snapshot_xmax(pg_current_snapshot()) as ahead",
    [cursor.xid],
    { name: "outbox_cursor_ahead" },
  );
  return rows[0]?.ahead ?? false;
}

/**
 * Gives rows that came with a restore a transaction of this cluster: their own lies in its future,
 * and until it is reached they would neither be read nor let themselves be ordered.
 */
export async function adoptRestoredRows(tx: Tx, schema: string): Promise<number> {
  const { rowCount } = await tx.query(
    `update ${schema}.outbox set xid = pg_current_xact_id()
      where xid >= pg_snapshot_xmax(pg_current_snapshot())`,
  );
  return rowCount;
}

export interface PruneOptions {
  schema: string;
  /** Rows that this publisher has not sent are kept; without one only the age counts. */
  publisher?: string;
  keepMs: number;
  /** Most rows of one call. */
  limit?: number;
}

/** Deletes old rows, a bounded batch at a time, and returns how many: 0 when there is no more. */
export async function pruneOutbox(db: Db, options: PruneOptions): Promise<number> {
  const { schema, publisher = null, keepMs, limit = 1_000 } = options;
  const { rowCount } = await db.query(
    `delete from ${schema}.outbox where (xid, id) in (
       select xid, id from ${schema}.outbox
        where at < clock_timestamp() - $1 * interval '1 millisecond'
          and ($2::text is null or (xid, id) <= (
            select cursor_xid, cursor_id from ${schema}.outbox_publisher where name = $2))
        order by xid, id
        limit $3)`,
    [keepMs, publisher, limit],
  );
  return rowCount;
}
