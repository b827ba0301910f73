import type { VersionStore } from "./version-store";

/** VersionStore in PostgreSQL. */
export function createPostgresVersionStore(): VersionStore {
  return {
    async read(db, tenantId, ids) {
      const { rows } = await db.query<{ id: string; data_key_id: string; sealed: Buffer }>(
        `select id, data_key_id, sealed from catalog.secret_versions
         where tenant_id = $1 and id = any($2::uuid[]) and sealed is not null`,
        [tenantId, ids],
        { name: "read-versions" },
      );
      return rows.map(({ id, data_key_id: dataKeyId, sealed }) => ({ id, dataKeyId, sealed }));
    },
  };
}
