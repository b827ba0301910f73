import type { Db, Tx } from "../../../../lib/postgres/db";
import type { PersonRef } from "../../people/store/person-store";

/** A token of the provider's, by what is kept of it. */
export interface UsedToken {
  /** SHA-256 of it. */
  digest: Buffer;
  /** Milliseconds since the epoch. */
  expiresAtMs: number;
}

/** What sign-ins leave behind. */
export interface SignInStore {
  /** Tenants that a developer is in, by name. */
  tenantsOf(db: Db, developer: string): Promise<string[]>;
  /** Whether it is the first time; of many at once, for one. */
  useOnce(tx: Tx, tenantId: string, token: UsedToken): Promise<boolean>;
  /** As whom the person signs in with the provider, from now on `identity` unless it was somebody before. */
  bind(tx: Tx, ref: PersonRef, identity: string): Promise<string>;
  /** Seconds since the epoch, by the database's clock. */
  nowSeconds(db: Db): Promise<number>;
  /** Removes up to `limit` tokens that are over; resolves with how many. */
  prune(db: Db, limit: number): Promise<number>;
}
