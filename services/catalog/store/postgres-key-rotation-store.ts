import type { Db, Pool } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { writeAudit } from "../audit";
import type { KeyRotation } from "../domain/key-rotation";
import type { KeyRotationStore, RotationRef } from "./key-rotation-store";
import type { StoredDataKey } from "./key-store";

const COLUMNS = `tenant_id, number, requested_by, made_key, started_at, finished_at, data_keys,
  damaged_data_keys, (extract(epoch from clock_timestamp() - started_at) * 1000)::float8 as age_ms`;
/** Longer than any call lives. */
const ABANDONED = "interval '1 minute'";

interface Row {
  tenant_id: string;
  number: bigint;
  requested_by: string;
  made_key: boolean;
  started_at: Date;
  finished_at: Date | null;
  data_keys: number;
  damaged_data_keys: number;
  age_ms: number;
}

/** KeyRotationStore in `catalog.key_rotations` and `catalog.data_keys`. */
export function createPostgresKeyRotationStore(pool: Pool): KeyRotationStore {
  return {
    async lock(tx, tenantId) {
      await tx.query(
        `select pg_advisory_xact_lock(hashtextextended('murmur.catalog.key-rotation.' || $1::text, 0))`,
        [tenantId],
      );
    },
    async lockKeyring(tx) {
      await tx.query(
        `select pg_advisory_xact_lock(hashtextextended('murmur.catalog.key-rotation', 0))`,
      );
    },
    async findLast(tenantId, tx) {
      const { rows } = await (tx ?? pool).query<Row>(
        `select ${COLUMNS} from catalog.key_rotations where tenant_id = $1
         order by number desc limit 1`,
        [tenantId],
      );
      return rows.map(fromRow)[0];
    },
    async begin(tx, tenantId, { requestedBy, madeKey }) {
      const { rows } = await tx.query<Row>(
        `insert into catalog.key_rotations (tenant_id, number, requested_by, made_key)
         select $1, coalesce(max(number), 0) + 1, $2, $3
         from catalog.key_rotations where tenant_id = $1
         returning ${COLUMNS}`,
        [tenantId, requestedBy, madeKey],
      );
      const [begun] = rows.map(fromRow);
      if (!begun) throw new Error("a rotation that was begun is not there");
      return begun;
    },
    async findWaiting({ tenantId, number }, not, limit) {
      const { rows } = await pool.query<StoredDataKey>(
        `select id, wrapped from catalog.data_keys
         where tenant_id = $1 and wrapped_for < $2 and id <> all($3::uuid[]) order by id limit $4`,
        [tenantId, number, not, limit],
      );
      return rows;
    },
    async replace({ tenantId, number }, keys) {
      await pool.query(
        `update catalog.data_keys d set wrapped = k.now, wrapped_for = $2
         from unnest($3::uuid[], $4::bytea[], $5::bytea[]) as k (id, was, now)
         where d.tenant_id = $1 and d.id = k.id and d.wrapped = k.was and d.wrapped_for < $2`,
        [
          ...[tenantId, number, keys.map(({ id }) => id)],
          ...[keys.map(({ was }) => was), keys.map(({ is }) => is)],
        ],
      );
    },
    finish: (ref, damaged) => finish(pool, ref, damaged),
    count: (tenantId) => count(pool, tenantId),
    async findAbandoned(limit) {
      const { rows } = await pool.query<{ tenant_id: string; number: bigint }>(
        `select tenant_id, number from catalog.key_rotations
         where finished_at is null and started_at < clock_timestamp() - ${ABANDONED} limit $1`,
        [limit],
      );
      return rows.map(({ tenant_id: tenantId, number }) => ({ tenantId, number }));
    },
  };
}

async function finish(
  pool: Pool,
  { tenantId, number }: RotationRef,
  damaged: number,
): Promise<void> {
  await withTransactionRetry(pool, async (tx) => {
    const { rows } = await tx.query<{ data_keys: number }>(
      `update catalog.key_rotations r set finished_at = clock_timestamp(),
         damaged_data_keys = $3, data_keys =
         (select count(*) from catalog.data_keys where tenant_id = $1 and wrapped_for = $2)
       where tenant_id = $1 and number = $2 and finished_at is null returning data_keys`,
      [tenantId, number, damaged],
    );
    const [done] = rows;
    if (!done) return;
    const itself = { tenantId, kind: "service", id: "catalog", peer: "" } as const;
    await writeAudit(tx, itself, [
      {
        ...{ action: "encryption.rewrap", objectKind: "key-rotation", objectId: String(number) },
        ...{
          outcome: "ok",
          detail: { data_keys: done.data_keys, ...(damaged > 0 && { damaged }) },
        },
      },
    ]);
  });
}

async function count(db: Db, tenantId: string) {
  const { rows } = await db.query<{ data_keys: bigint; waiting: bigint }>(
    `select count(*) as data_keys, count(*) filter (where wrapped_for < (
       select number from catalog.key_rotations
       where tenant_id = $1 and finished_at is null)) as waiting
     from catalog.data_keys where tenant_id = $1`,
    [tenantId],
  );
  return { dataKeys: Number(rows[0]?.data_keys ?? 0), waiting: Number(rows[0]?.waiting ?? 0) };
}

function fromRow(row: Row): KeyRotation {
  return {
    tenantId: row.tenant_id,
    number: row.number,
    requestedBy: row.requested_by,
    madeKey: row.made_key,
    startedAt: row.started_at,
    finishedAt: row.finished_at ?? undefined,
    dataKeys: row.data_keys,
    damagedDataKeys: row.damaged_data_keys,
    ageMs: row.age_ms,
  };
}
