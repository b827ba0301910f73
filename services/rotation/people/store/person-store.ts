import type { Role } from "../../../../lib/identity/principal";
import type { PageQuery } from "../../../../lib/page";
import type { Db, Tx } from "../../../../lib/postgres/db";
import type { Person } from "../domain/person";

/** Which developer, within a tenant. */
export interface PersonRef {
  tenantId: string;
  developer: string;
}

/** What is known of a developer, in the tenant or not any more. */
export interface KnownPerson extends Person {
  isRemoved: boolean;
  /** Seconds since the epoch: identity tokens first issued then or earlier count no more; undefined: all do. */
  tokensAfter: number | undefined;
}

/** People. Those who were removed stay known, so that what they had stays ended. */
export interface PersonStore {
  find(db: Db, ref: PersonRef): Promise<KnownPerson | undefined>;
  /** Holds the row against a change until the transaction ends; many may hold it. */
  hold(tx: Tx, ref: PersonRef): Promise<KnownPerson | undefined>;
  /** Holds the row alone until the transaction ends. */
  lock(tx: Tx, ref: PersonRef): Promise<KnownPerson | undefined>;
  /** The tenant's owners, each held alone until the transaction ends: of many who change them one does at a time. */
  lockOwners(tx: Tx, tenantId: string): Promise<string[]>;
  /** By name, one more than the page's limit. */
  list(db: Db, tenantId: string, page: PageQuery): Promise<Person[]>;
  /**
   * Undefined when the developer is known already, removed or not, or the tenant was deleted: nothing is
   * changed then.
   */
  insert(tx: Tx, ref: PersonRef, as: { role: Role; addedBy: string }): Promise<Person | undefined>;
  /** Lets one come back who was removed. */
  restore(tx: Tx, ref: PersonRef, as: { role: Role; addedBy: string }): Promise<Person>;
  setRole(tx: Tx, ref: PersonRef, role: Role): Promise<Person>;
  /** Ends membership, and sessions; returns how many API keys and agent tokens of theirs it revoked. */
  remove(tx: Tx, ref: PersonRef): Promise<number>;
  countLivingAgents(tx: Tx, ref: PersonRef): Promise<number>;
}
