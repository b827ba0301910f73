import type { Sensitive } from "../../../lib/sensitive";

/** A data key of one tenant, open. */
export interface DataKey {
  id: string;
  key: Sensitive<Buffer>;
}

/**
 * The data keys of tenants. Open keys are remembered for a bounded time, so that a key provider
 * that is away does not stop what needs no new key. Throws UNAVAILABLE when it is needed and away,
 * WrappedKeyRefused when a stored key was changed.
 */
export interface TenantKeys {
  /** The key that new rows are sealed under; made at the first use, once for all replicas. */
  current(tenantId: string): Promise<DataKey>;
  /** The key that a stored row names; undefined when the tenant has none of this id. */
  find(tenantId: string, keyId: string): Promise<DataKey | undefined>;
}
