import type { Db } from "../../../lib/postgres/db";
import type { KeyStore, StoredDataKey, StoredKeyCheck } from "./key-store";

/** KeyStore in PostgreSQL. */
export function createPostgresKeyStore(db: Db): KeyStore {
  const findCurrent = async (tenantId: string) => {
    const { rows } = await db.query<StoredDataKey>(
      `select id, wrapped from catalog.data_keys where tenant_id = $1 and is_current`,
      [tenantId],
    );
    return rows[0];
  };
  const findCheck = async () => {
    const { rows } = await db.query<StoredKeyCheck>(
      `select provider, wrapped, digest from catalog.key_check`,
    );
    return rows[0];
  };
  return {
    findCurrent,
    findCheck,
    async find(tenantId, keyId) {
      const { rows } = await db.query<StoredDataKey>(
        `select id, wrapped from catalog.data_keys where tenant_id = $1 and id = $2`,
        [tenantId, keyId],
      );
      return rows[0];
    },
    async insertFirst(tenantId, key) {
      await db.query(
        `insert into catalog.data_keys (tenant_id, id, wrapped, is_current)
         values ($1, $2, $3, true) on conflict do nothing`,
        [tenantId, key.id, key.wrapped],
      );
      // A later statement: it sees the row of whoever was quicker.
      return (await findCurrent(tenantId)) ?? missing("data key");
    },
    async insertCheck({ provider, wrapped, digest }) {
      await db.query(
        `insert into catalog.key_check (provider, wrapped, digest)
         values ($1, $2, $3) on conflict do nothing`,
        [provider, wrapped, digest],
      );
      return (await findCheck()) ?? missing("key check");
    },
  };
}

function missing(what: string): never {
  throw new Error(`the ${what} is gone right after it was stored`);
}
