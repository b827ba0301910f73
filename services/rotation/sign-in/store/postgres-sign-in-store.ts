import type { SignInStore } from "./sign-in-store";

/** Beyond the token's own end, whichever clock is ahead. */
const KEPT_BEYOND = `interval '1 hour'`;

/** SignInStore in `rotation.people` and `rotation.exchanged_tokens`. */
export const postgresSignInStore: SignInStore = {
  async tenantsOf(db, developer) {
    const { rows } = await db.query<{ tenant_id: string }>(
      `select tenant_id from rotation.people where developer = $1 and removed_at is null
       order by tenant_id limit 100`,
      [developer],
    );
    return rows.map((row) => row.tenant_id);
  },
  async useOnce(tx, tenantId, { digest, expiresAtMs }) {
    const { rowCount } = await tx.query(
      `insert into rotation.exchanged_tokens (tenant_id, digest, expires_at)
       values ($1, $2, to_timestamp($3) + ${KEPT_BEYOND}) on conflict (digest) do nothing`,
      [tenantId, digest, expiresAtMs / 1000],
    );
    return rowCount === 1;
  },
  async bind(tx, { tenantId, developer }, identity) {
    const { rows } = await tx.query<{ signs_in_as: string }>(
      `update rotation.people set signs_in_as = coalesce(signs_in_as, $3)
       where tenant_id = $1 and developer = $2 returning signs_in_as`,
      [tenantId, developer, identity],
    );
    const [row] = rows;
    if (!row) throw new Error("a person who is held is not there");
    return row.signs_in_as;
  },
  async nowSeconds(db) {
    const { rows } = await db.query<{ now: number }>(
      "select floor(extract(epoch from clock_timestamp()))::float8 as now",
    );
    return rows[0]?.now ?? Number.NaN;
  },
  async prune(db, limit) {
    const { rowCount } = await db.query(
      `delete from rotation.exchanged_tokens where digest in (
         select digest from rotation.exchanged_tokens
         where expires_at < clock_timestamp() order by expires_at limit $1
         for update skip locked)`,
      [limit],
    );
    return rowCount;
  },
};
