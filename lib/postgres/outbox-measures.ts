import { type Db } from "./db";
import { type OutboxCursor } from "./outbox";

/** What an operator watches. */
export interface OutboxMeasures {
  /** Age of the oldest row that was not sent, milliseconds; 0 when there is none. */
  oldestAgeMs: number;
  /** Age of the oldest open write transaction: nothing younger can be read, milliseconds. */
  xminAgeMs: number;
}

/** Transactions of other users count only where the role may see them (pg_read_all_stats). */
export async function measureOutbox(
  db: Db,
  schema: string,
  cursor: OutboxCursor,
): Promise<OutboxMeasures> {
  const { rows } = await db.query<{ oldest: number | null; xmin: number | null }>(
    `select
       (select extract(epoch from clock_timestamp() - at)::float8 from ${schema}.outbox
         where (xid, id) > ($1::xid8, $2::bigint) order by xid, id limit 1) as oldest,
       (select extract(epoch from clock_timestamp() - min(xact_start))::float8
          from pg_stat_activity
         where backend_xid is not null and pid <> pg_backend_pid()) as xmin`,
    [cursor.xid, cursor.id],
  );
  return { oldestAgeMs: toMs(rows[0]?.oldest), xminAgeMs: toMs(rows[0]?.xmin) };
}

function toMs(seconds: number | null | undefined): number {
  return Math.max(0, (seconds ?? 0) * 1000);
}
