import type { SealedAnswerStore } from "./sealed-answer-store";

const LIFE = `interval '10 minutes'`;

/** SealedAnswerStore in `rotation.sealed_answers`. */
export const postgresSealedAnswerStore: SealedAnswerStore = {
  async claim(tx, tenantId, request) {
    // A row of this transaction that others wait for; one that is over is as good as none.
    const { rows } = await tx.query<{ request_hash: Buffer; sealed: Buffer; is_new: boolean }>(
      `insert into rotation.sealed_answers as a (tenant_id, request, request_hash, sealed, expires_at)
       values ($1, $2, '', '', clock_timestamp() + ${LIFE})
       on conflict (tenant_id, request) do update set
         request_hash = case when a.expires_at > clock_timestamp() then a.request_hash else '' end,
         sealed = case when a.expires_at > clock_timestamp() then a.sealed else '' end
       returning request_hash, sealed, length(sealed) = 0 as is_new`,
      [tenantId, request],
    );
    const [row] = rows;
    if (!row || row.is_new) return undefined;
    return { requestHash: row.request_hash, sealed: row.sealed };
  },
  async find(db, tenantId, request) {
    const { rows } = await db.query<{ request_hash: Buffer; sealed: Buffer }>(
      `select request_hash, sealed from rotation.sealed_answers
       where tenant_id = $1 and request = $2 and expires_at > clock_timestamp()
         and length(sealed) > 0`,
      [tenantId, request],
    );
    return rows.map((row) => ({ requestHash: row.request_hash, sealed: row.sealed }))[0];
  },
  async put(tx, tenantId, request, { requestHash, sealed }) {
    await tx.query(
      `insert into rotation.sealed_answers (tenant_id, request, request_hash, sealed, expires_at)
       values ($1, $2, $3, $4, clock_timestamp() + ${LIFE})
       on conflict (tenant_id, request) do update set request_hash = excluded.request_hash,
         sealed = excluded.sealed, expires_at = excluded.expires_at`,
      [tenantId, request, requestHash, sealed],
    );
  },
  async keep(tx, tenantId, request, { requestHash, sealed }) {
    await tx.query(
      `update rotation.sealed_answers set request_hash = $3, sealed = $4,
         expires_at = clock_timestamp() + ${LIFE}
       where tenant_id = $1 and request = $2`,
      [tenantId, request, requestHash, sealed],
    );
  },
  async prune(db, limit) {
    const { rowCount } = await db.query(
      `delete from rotation.sealed_answers where (tenant_id, request) in (
         select tenant_id, request from rotation.sealed_answers
         where expires_at < clock_timestamp() order by expires_at limit $1
         for update skip locked) and expires_at < clock_timestamp()`,
      [limit],
    );
    return rowCount;
  },
};
