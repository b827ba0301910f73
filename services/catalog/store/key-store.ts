/** A data key as it is stored. */
export interface StoredDataKey {
  id: string;
  wrapped: Buffer;
}

/** What proves that a key provider is the one that wrapped this database's data keys. */
export interface StoredKeyCheck {
  provider: string;
  wrapped: Buffer;
  digest: Buffer;
}

/** Wrapped data keys of tenants. */
export interface KeyStore {
  findCurrent(tenantId: string): Promise<StoredDataKey | undefined>;
  find(tenantId: string, keyId: string): Promise<StoredDataKey | undefined>;
  /** Stores a tenant's first data key, unless another replica was quicker: the answer tells whose. */
  insertFirst(tenantId: string, key: StoredDataKey): Promise<StoredDataKey>;
  findCheck(): Promise<StoredKeyCheck | undefined>;
  /** Stores the key check, unless there is one: the answer is the one that stands. */
  insertCheck(check: StoredKeyCheck): Promise<StoredKeyCheck>;
}
