import type { Db } from "../postgres/db";
import { AUDIT_COLUMNS, type AuditRow, type AuditSchema, exactTime, toRecord } from "./audit-rows";
import type { ChainLink } from "./chain-walk";
import type { Checkpoint } from "./checkpoint";
import type { AuditRecord } from "./record";
import type { SealedThrough } from "./verify-chain";

/** What is looked for; undefined: everything. */
export interface RecordFilter {
  since: Date | undefined;
  until: Date | undefined;
  actor: string | undefined;
  /** With a dot at its end: all that begin so. */
  action: string | undefined;
  object: string | undefined;
  outcome: string | undefined;
}

/** `after` and `next` are ids or sequences; one page looks at a bounded number of rows. */
export interface Slice {
  limit: number;
  after: bigint | undefined;
}

export interface Sliced<T> {
  items: T[];
  /** Where the next page begins; undefined: this is the last. */
  next: bigint | undefined;
}

export interface ListedRecord {
  record: AuditRecord;
  /** 0: not sealed. */
  sequence: bigint;
}

/** The readers' side of the audit tables, within one tenant. */
export interface AuditStore {
  /** Newest first. */
  records(tenantId: string, filter: RecordFilter, slice: Slice): Promise<Sliced<ListedRecord>>;
  links(tenantId: string, slice: Slice): Promise<Sliced<ChainLink>>;
  /** By id. */
  unsealed(
    tenantId: string,
    slice: Slice,
  ): Promise<Sliced<AuditRecord> & { sealedThrough: SealedThrough }>;
  /** By size; several can have the same. */
  checkpoints(tenantId: string, slice: Slice): Promise<Sliced<Checkpoint>>;
}

/** Rows that a page looks at to find what it shows: some 20 ms. */
const LOOKED_AT = 20_000;
/** Below the 4 MiB of a gRPC message. */
const MAX_PAGE_BYTES = 2 * 1024 * 1024;

type LinkRow = Partial<AuditRow> & {
  sequence: bigint;
  audit_id: bigint;
  epoch: number;
  hash: Buffer;
};

interface CheckpointRow {
  size: bigint;
  head: Buffer;
  time: string;
  key_id: string;
  signature: Buffer;
}

/** AuditStore in `<schema>.audit`, `audit_chain` and `audit_checkpoints`. */
export function createAuditStore(db: Db, schema: AuditSchema): AuditStore {
  /** The id at which a page that goes this way stops looking. */
  const stopOf = async (tenantId: string, after: bigint, way: "asc" | "desc") => {
    const { rows } = await db.query<{ id: bigint }>(
      `select id from ${schema}.audit
       where tenant_id = $1 and id ${way === "asc" ? ">" : "<"} $2
       order by id ${way} offset $3 limit 1`,
      [tenantId, after, LOOKED_AT],
    );
    return rows[0]?.id;
  };
  return {
    async records(tenantId, filter, { limit, after = LAST_ID }) {
      const stop = await stopOf(tenantId, after, "desc");
      const { rows } = await db.query<AuditRow & { sequence: bigint }>(
        `select ${AUDIT_COLUMNS}, coalesce(c.sequence, 0) as sequence
         from ${schema}.audit a
         left join ${schema}.audit_chain c on c.tenant_id = a.tenant_id and c.audit_id = a.id
         where a.tenant_id = $1 and a.id < $2 and a.id > $3
           and ($4::timestamptz is null or a.at >= $4)
           and ($5::timestamptz is null or a.at < $5)
           and ($6::text is null or a.actor_id = $6 or a.detail->>'api_key' = $6)
           and ($7::text is null or a.action = $7 or right($7, 1) = '.' and starts_with(a.action, $7))
           and ($8::text is null or a.object_id = $8)
           and ($9::text is null or a.outcome = $9)
         order by a.id desc limit $10`,
        [...[tenantId, after, stop ?? -1n], ...toParams(filter), limit + 1],
      );
      const found = rows.map((row) => ({ record: toRecord(row), sequence: row.sequence }));
      const page = cut(found, limit, ({ record }) => record);
      return { ...page, next: page.next ?? (stop === undefined ? undefined : stop + 1n) };
    },
    async links(tenantId, { limit, after = 0n }) {
      const { rows } = await db.query<LinkRow>(
        `select c.sequence, c.audit_id, c.epoch, c.hash, ${AUDIT_COLUMNS}
         from ${schema}.audit_chain c
         left join ${schema}.audit a on a.tenant_id = c.tenant_id and a.id = c.audit_id
         where c.tenant_id = $1 and c.sequence > $2
         order by c.sequence limit $3`,
        [tenantId, after, limit + 1],
        { name: `audit-links-${schema}` },
      );
      const { items, next } = cut(rows.map(toLink), limit, ({ record }) => record);
      return { items, next: next === undefined ? undefined : items.at(-1)?.sequence };
    },
    async unsealed(tenantId, { limit, after = -1n }) {
      const stop = await stopOf(tenantId, after, "asc");
      // In one look at the database, else what is sealed just then could seem to be passed over.
      const { rows } = await db.query<Partial<AuditRow> & { end_xid: bigint; end_id: bigint }>(
        `select coalesce(s.cursor_xid, '0') as end_xid, coalesce(s.cursor_id, -1) as end_id, a.*
         from (select) as one
         left join ${schema}.audit_sealer s on true
         left join lateral (
           select ${AUDIT_COLUMNS} from ${schema}.audit a
           where a.tenant_id = $1 and a.id > $2 and ($3::bigint is null or a.id < $3)
             and not exists (select from ${schema}.audit_chain c
               where c.tenant_id = a.tenant_id and c.audit_id = a.id)
           order by a.id limit $4) as a on true`,
        [tenantId, after, stop ?? null, limit + 1],
      );
      const sealedThrough = {
        transactionId: rows[0]?.end_xid ?? 0n,
        recordId: rows[0]?.end_id ?? -1n,
      };
      const page = cut(rows.filter(isRecord).map(toRecord), limit, (record) => record);
      const next = page.next ?? (stop === undefined ? undefined : stop - 1n);
      return { items: page.items, next, sealedThrough };
    },
    async checkpoints(tenantId, { limit, after = 0n }) {
      // All of one size are on one page.
      const { rows } = await db.query<CheckpointRow>(
        `select size, head, ${exactTime("at")} as time, key_id, signature
         from ${schema}.audit_checkpoints where tenant_id = $1 and size > $2
         order by size fetch first $3 rows with ties`,
        [tenantId, after, limit],
      );
      const items = rows.map(({ key_id: keyId, ...row }) => ({ ...row, keyId }));
      return { items, next: items.length < limit ? undefined : items.at(-1)?.size };
    },
  };
}

const LAST_ID = 2n ** 63n - 1n;

function toParams(filter: RecordFilter): unknown[] {
  const { since, until, actor, action, object, outcome } = filter;
  return [since, until, actor, action, object, outcome].map((value) => value ?? null);
}

/** As many as a page may have, by number and by size; `next` is the last one's record id. */
function cut<T>(
  items: readonly T[],
  limit: number,
  recordOf: (item: T) => AuditRecord | undefined,
): Sliced<T> {
  let bytes = 0;
  const tooMuch = items.findIndex((item, at) => {
    bytes += recordOf(item)?.detail.length ?? 0;
    return at > 0 && bytes > MAX_PAGE_BYTES;
  });
  const count = Math.min(limit, tooMuch === -1 ? items.length : tooMuch);
  const kept = items.slice(0, count);
  const last = kept.at(-1);
  const next = last && count < items.length ? (recordOf(last)?.recordId ?? 0n) : undefined;
  return { items: kept, next };
}

function toLink(row: LinkRow): ChainLink {
  return {
    sequence: row.sequence,
    epoch: row.epoch,
    hash: row.hash,
    recordId: row.audit_id,
    record: isRecord(row) ? toRecord(row) : undefined,
  };
}

/** What a left join found; without it the columns are null. */
function isRecord<T extends Partial<AuditRow>>(row: T): row is T & AuditRow {
  return typeof row.id === "bigint";
}
