import type { DataKey } from "../domain/data-key";
import type { TenantKeys } from "../keys/tenant-keys";

/** Rows of a transaction name a data key that is not open yet. */
export class DataKeyNeeded extends Error {
  constructor(readonly keyId: string) {
    super("a data key has to be opened first");
    this.name = "DataKeyNeeded";
  }
}

/**
 * Data keys that were opened before a transaction: opening one may take the key provider and a
 * second connection, and neither is to be waited for while rows are locked.
 */
export interface OpenKeys {
  /** The tenant's current key. */
  readonly current: DataKey;
  /** Throws DataKeyNeeded: the caller opens the key outside and starts again. */
  need(keyId: string): DataKey;
}

/** Runs `work` with the tenant's current key, and again whenever it turns out to need another. */
export async function withOpenKeys<T>(
  keys: TenantKeys,
  tenantId: string,
  work: (open: OpenKeys) => Promise<T>,
): Promise<T> {
  const current = await keys.current(tenantId);
  const known = new Map([[current.id, current]]);
  const open: OpenKeys = {
    current,
    need(keyId) {
      const key = known.get(keyId);
      if (!key) throw new DataKeyNeeded(keyId);
      return key;
    },
  };
  for (;;) {
    try {
      return await work(open);
    } catch (error) {
      if (!(error instanceof DataKeyNeeded) || known.has(error.keyId)) throw error;
      const key = await keys.find(tenantId, error.keyId);
      if (!key) throw error;
      known.set(key.id, key);
    }
  }
}
