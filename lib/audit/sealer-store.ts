import type { Db } from "../postgres/db";
import { AUDIT_COLUMNS, type AuditRow, type AuditSchema, exactTime, toRecord } from "./audit-rows";
import type { Checkpoint } from "./checkpoint";
import type { AuditRecord, ChainHead } from "./record";

/** Up to and including which record everything is sealed. */
export interface SealerCursor {
  xid: bigint;
  id: bigint;
}

/** What the holder of the lease goes on from. */
export interface HeldSealer {
  cursor: SealerCursor;
  epoch: number;
  /** The database is another one than the cursor's, or an older state of it. */
  restored: "not" | "cursor is good" | "cursor is ahead";
  /** Other replicas write records, too. */
  hasRivals: boolean;
}

export interface UnsealedRecord {
  tenantId: string;
  record: AuditRecord;
}

export interface Unsealed {
  /** In the order in which they are to be sealed. */
  records: UnsealedRecord[];
  /** Some are committed, but behind a transaction that is still open: their turn is later. */
  isMoreComing: boolean;
  /** The database's time. */
  now: string;
}

/** A link that is to be added. */
export interface NewLink {
  tenantId: string;
  sequence: bigint;
  recordId: bigint;
  hash: Buffer;
}

/** A checkpoint that is to be added. */
export type NewCheckpoint = Checkpoint & { tenantId: string };

/** What is added to the chains in one statement. */
export interface Sealing {
  from: SealerCursor;
  to: SealerCursor;
  epoch: number;
  links: readonly NewLink[];
  checkpoints: readonly NewCheckpoint[];
}

/** The sealer's side of the audit tables. All times are the database's. */
export interface SealerStore {
  /** Takes or prolongs the lease; undefined while another holds it, who learns of a rival. */
  hold(): Promise<HeldSealer | undefined>;
  release(): Promise<void>;
  read(after: SealerCursor, limit: number): Promise<Unsealed>;
  /** Those that came with a restore, of transactions that this cluster has not come to. */
  readRestored(after: SealerCursor, limit: number): Promise<Unsealed>;
  /** The present ends of these tenants' chains; those without links are left out. */
  heads(tenantIds: readonly string[]): Promise<Map<string, ChainHead>>;
  /** False when the lease or the place was lost: nothing is written then. */
  seal(sealing: Sealing): Promise<boolean>;
  /** Begins the next epoch, in the name of the present cluster; false when the lease was lost. */
  startEpoch(held: HeldSealer): Promise<boolean>;
  /** Ends of chains that the key has not signed. Looks at every tenant: once in a lease. */
  unsigned(keyId: string): Promise<Map<string, ChainHead>>;
  now(): Promise<string>;
}

export interface SealerStoreOptions {
  db: Db;
  schema: AuditSchema;
  /** Never used twice: a holder that was frozen must not pass for the one that replaced it. */
  holder: string;
  leaseMs: number;
}

const THIS_SYSTEM = "(select system_identifier from pg_control_system())";
const XMIN = "pg_snapshot_xmin(pg_current_snapshot())";
const XMAX = "pg_snapshot_xmax(pg_current_snapshot())";
const NOW = exactTime("clock_timestamp()");
/** All records of a tenant may have to be looked at, after a restore. */
const RESTORE_TIMEOUT_MS = 120_000;

interface HoldRow {
  held: boolean;
  cursor_xid: bigint;
  cursor_id: bigint;
  epoch: number;
  is_other: boolean;
  is_ahead: boolean;
  has_rivals: boolean;
}

interface HeadRow {
  tenant_id: string;
  sequence: bigint;
  hash: Buffer;
}

type ReadRow = Partial<AuditRow> & { now: string; is_more_coming: boolean };

/** SealerStore in `<schema>.audit`, `audit_chain`, `audit_checkpoints` and `audit_sealer`. */
export function createSealerStore(options: SealerStoreOptions): SealerStore {
  const { db, schema, holder, leaseMs } = options;
  const sql = statementsOf(schema);
  const mine = [holder, leaseMs];
  const name = (what: string) => ({ name: `audit-${what}-${schema}` });
  return {
    async hold() {
      const { rows } = await db.query<HoldRow>(sql.hold, mine, name("hold"));
      return rows[0]?.held === true ? toHeld(rows[0]) : undefined;
    },
    async release() {
      await db.query(sql.release, [holder]);
    },
    async read(after, limit) {
      const params = [after.xid, after.id, limit];
      return toUnsealed((await db.query<ReadRow>(sql.read, params, name("read"))).rows);
    },
    async readRestored(after, limit) {
      const params = [after.xid, after.id, limit];
      const { rows } = await db.query<ReadRow>(sql.readRestored, params, {
        timeoutMs: RESTORE_TIMEOUT_MS,
      });
      return toUnsealed(rows);
    },
    async heads(tenantIds) {
      return toHeads((await db.query<HeadRow>(sql.heads, [tenantIds], name("heads"))).rows);
    },
    async seal(sealing) {
      const { rows } = await db.query(sql.seal, [...mine, ...toParams(sealing)], name("seal"));
      return rows.length === 1;
    },
    async startEpoch({ epoch, restored }) {
      const params = [...mine, epoch, restored === "cursor is ahead"];
      const limits = { timeoutMs: RESTORE_TIMEOUT_MS };
      return (await db.query(sql.startEpoch, params, limits)).rowCount === 1;
    },
    async unsigned(keyId) {
      return toHeads((await db.query<HeadRow>(sql.unsigned, [keyId])).rows);
    },
    async now() {
      const { rows } = await db.query<{ now: string }>(`select ${NOW} as now`);
      return rows[0]?.now ?? "";
    },
  };
}

/** $1 is the holder and $2 the lease's length wherever both are there. */
function statementsOf(schema: AuditSchema) {
  const until = "clock_timestamp() + $2::integer * interval '1 millisecond'";
  // A lease that reaches further than it was given was given before the clock was set back.
  const takes = `(s.holder = $1::uuid or s.lease_until < clock_timestamp()
    or s.lease_until > clock_timestamp() + $2::integer * interval '2 milliseconds')`;
  const sealed = `exists (select from ${schema}.audit_chain c
    where c.tenant_id = a.tenant_id and c.audit_id = a.id)`;
  // Old records that a restore brought may have transaction ids of the future, and are sealed.
  const readWhere = (range: string) => `
    select now.*, a.* from (
      select ${NOW} as now, exists (select from ${schema}.audit a
        where a.xid >= ${XMIN} and a.xid < ${XMAX} and not ${sealed}) as is_more_coming) as now
    left join lateral (
      select ${AUDIT_COLUMNS} from ${schema}.audit a
      where (a.xid, a.id) > ($1::xid8, $2::bigint) and ${range} and not ${sealed}
      order by a.xid, a.id limit $3) as a on true`;
  return {
    hold: `
    insert into ${schema}.audit_sealer as s (holder, lease_until, system_identifier)
    values ($1::uuid, ${until}, ${THIS_SYSTEM})
    on conflict (is_only) do update set
      rival_until = case when ${takes} then s.rival_until
        else clock_timestamp() + interval '10 seconds' end,
      lease_until = case when ${takes} then excluded.lease_until else s.lease_until end,
      holder = case when ${takes} then excluded.holder else s.holder end
    returning holder = $1 as held, cursor_xid, cursor_id, epoch,
      system_identifier <> ${THIS_SYSTEM} as is_other, cursor_xid > ${XMAX} as is_ahead,
      rival_until > clock_timestamp() as has_rivals`,
    release: `
    update ${schema}.audit_sealer set lease_until = clock_timestamp() - interval '1 second'
    where holder = $1::uuid`,
    read: readWhere(`a.xid < ${XMIN}`),
    readRestored: readWhere(`a.xid >= ${XMAX}`),
    heads: `
    select t.tenant_id, h.sequence, h.hash from unnest($1::text[]) as t (tenant_id)
    cross join lateral (select sequence, hash from ${schema}.audit_chain c
      where c.tenant_id = t.tenant_id order by sequence desc limit 1) as h`,
    seal: `
    with held as (
      update ${schema}.audit_sealer set cursor_xid = $5::xid8, cursor_id = $6::bigint,
        lease_until = ${until}
      where holder = $1::uuid and cursor_xid = $3::xid8 and cursor_id = $4::bigint
        and epoch = $7::integer
      returning 1
    ), linked as (
      insert into ${schema}.audit_chain (tenant_id, sequence, audit_id, epoch, hash)
      select l.tenant_id, l.sequence, l.audit_id, $7, l.hash from held, unnest($8::text[], $9::bigint[], $10::bigint[], $11::bytea[])
        as l (tenant_id, sequence, audit_id, hash)
    ), signed as (
      insert into ${schema}.audit_checkpoints (tenant_id, size, head, at, key_id, signature)
      select k.* from held, unnest($12::text[], $13::bigint[], $14::bytea[], $15::timestamptz[],
        $16::text[], $17::bytea[]) as k
      on conflict do nothing
    )
    select from held`,
    // The oldest record that is not sealed, of those that this cluster wrote.
    startEpoch: `
    update ${schema}.audit_sealer set epoch = epoch + 1, system_identifier = ${THIS_SYSTEM},
      lease_until = ${until},
      cursor_id = case when $4::boolean then -1 else cursor_id end,
      cursor_xid = case when not $4 then cursor_xid else coalesce((
        select a.xid from ${schema}.audit a where a.xid < ${XMAX} and not ${sealed}
        order by a.xid limit 1), ${XMIN}) end
    where holder = $1::uuid and epoch = $3::integer`,
    unsigned: `
    with recursive tenants as (
      (select tenant_id from ${schema}.audit_chain order by tenant_id limit 1)
      union all
      select (select c.tenant_id from ${schema}.audit_chain c where c.tenant_id > t.tenant_id
        order by c.tenant_id limit 1)
      from tenants t where t.tenant_id is not null
    )
    select t.tenant_id, h.sequence, h.hash from tenants t
    cross join lateral (select sequence, hash from ${schema}.audit_chain c
      where c.tenant_id = t.tenant_id order by sequence desc limit 1) as h
    where not exists (select from ${schema}.audit_checkpoints k
      where k.tenant_id = t.tenant_id and k.size = h.sequence and k.key_id = $1)`,
  };
}

function toHeld(row: HoldRow): HeldSealer {
  const isRestored = row.is_other || row.is_ahead;
  return {
    cursor: { xid: row.cursor_xid, id: row.cursor_id },
    epoch: row.epoch,
    restored: row.is_ahead ? "cursor is ahead" : isRestored ? "cursor is good" : "not",
    hasRivals: row.has_rivals,
  };
}

function toUnsealed(rows: readonly ReadRow[]): Unsealed {
  const [first] = rows;
  return {
    now: first?.now ?? "",
    isMoreComing: first?.is_more_coming ?? false,
    records: rows
      .filter(isRecord)
      .map((row) => ({ tenantId: row.tenant_id, record: toRecord(row) })),
  };
}

/** Without a record there is a row all the same, for the time. */
function isRecord(row: ReadRow): row is ReadRow & AuditRow {
  return typeof row.id === "bigint";
}

function toHeads(rows: readonly HeadRow[]): Map<string, ChainHead> {
  return new Map(rows.map((row) => [row.tenant_id, { size: row.sequence, hash: row.hash }]));
}

function toParams({ from, to, epoch, links, checkpoints }: Sealing): unknown[] {
  return [
    ...[from.xid, from.id, to.xid, to.id, epoch],
    links.map(({ tenantId }) => tenantId),
    links.map(({ sequence }) => sequence),
    links.map(({ recordId }) => recordId),
    links.map(({ hash }) => hash),
    checkpoints.map(({ tenantId }) => tenantId),
    checkpoints.map(({ size }) => size),
    checkpoints.map(({ head }) => head),
    checkpoints.map(({ time }) => time),
    checkpoints.map(({ keyId }) => keyId),
    checkpoints.map(({ signature }) => signature),
  ];
}
