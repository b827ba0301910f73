import { type Pool, type Tx } from "./db";
import { adoptRestoredRows, OUTBOX_START, type OutboxCursor } from "./outbox";
import { withTransaction } from "./transaction";

/** The right to publish, as one holder sees it. Times are the database's; nobody's clock counts. */
export interface OutboxLease {
  /** Takes the lease or prolongs it; undefined while another holds it. */
  hold(): Promise<HeldLease | undefined>;
  /** Prolongs a lease that is held; one that was lost stays lost. */
  renew(): Promise<void>;
  /** Moves the cursor and prolongs the lease; false when it was lost, and nothing is moved then. */
  advance(cursor: OutboxCursor): Promise<boolean>;
  /**
   * Starts over from the first row after a restore, in the name of the present cluster; false when
   * the lease was lost.
   */
  restart(): Promise<boolean>;
  /** Lets others take over at once. */
  release(): Promise<void>;
}

export interface HeldLease {
  cursor: OutboxCursor;
  /** The cursor belongs to another cluster, or lies ahead of this one: it was restored. */
  isForeign: boolean;
}

export interface LeaseOptions {
  pool: Pool;
  schema: string;
  /** Names the publisher: one lease and one cursor each. */
  name: string;
  /** Never used twice: a holder that was frozen must not pass for the one that replaced it. */
  holder: string;
  leaseMs: number;
}

const THIS_SYSTEM = "(select system_identifier from pg_control_system())";

/** A row with a time limit: an advisory lock would stay with a process that is frozen. */
export function createOutboxLease(options: LeaseOptions): OutboxLease {
  const { pool, schema, name, holder, leaseMs } = options;
  const table = `${schema}.outbox_publisher`;
  const until = "clock_timestamp() + $3 * interval '1 millisecond'";
  const mine = [name, holder, leaseMs];

  async function hold(): Promise<HeldLease | undefined> {
    const { rows } = await pool.query<{ xid: bigint; id: bigint; foreign: boolean }>(
      `insert into ${table} as mine (name, holder, lease_until, system_identifier)
       values ($1, $2, ${until}, ${THIS_SYSTEM})
       on conflict (name) do update
         set holder = excluded.holder, lease_until = excluded.lease_until
         where mine.holder = excluded.holder or mine.lease_until < clock_timestamp()
       returning cursor_xid as xid, cursor_id as id,
         system_identifier <> ${THIS_SYSTEM}
           or cursor_xid > pg_snapshot_xmax(pg_current_snapshot()) as foreign`,
      mine,
      { name: `hold_outbox_${schema}` },
    );
    const row = rows[0];
    return row && { cursor: { xid: row.xid, id: row.id }, isForeign: row.foreign };
  }

  async function advance({ xid, id }: OutboxCursor): Promise<boolean> {
    const { rowCount } = await pool.query(
      `update ${table} set cursor_xid = $4, cursor_id = $5, lease_until = ${until}
        where name = $1 and holder = $2 and system_identifier = ${THIS_SYSTEM}`,
      [...mine, xid, id],
      { name: `advance_outbox_${schema}` },
    );
    return rowCount === 1;
  }

  async function startOver(tx: Tx): Promise<boolean> {
    const { rowCount } = await tx.query(
      `update ${table}
          set cursor_xid = $4, cursor_id = $5, lease_until = ${until},
              system_identifier = ${THIS_SYSTEM}
        where name = $1 and holder = $2`,
      [...mine, OUTBOX_START.xid, OUTBOX_START.id],
    );
    if (rowCount === 1) await adoptRestoredRows(tx, schema);
    return rowCount === 1;
  }

  async function renew(): Promise<void> {
    await pool.query(
      `update ${table} set lease_until = ${until} where name = $1 and holder = $2`,
      mine,
      { name: `renew_outbox_${schema}` },
    );
  }

  return {
    hold,
    renew,
    advance,
    restart: () => withTransaction(pool, startOver),
    async release() {
      await pool.query(
        `update ${table} set lease_until = clock_timestamp() - interval '1 second'
          where name = $1 and holder = $2`,
        [name, holder],
      );
    },
  };
}
