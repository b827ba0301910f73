import type { Tx } from "../../../lib/postgres/db";
import type { KeyRotation } from "../domain/key-rotation";
import type { StoredDataKey } from "./key-store";

/** A wrapped key that takes the place of another. */
export interface RewrappedKey {
  id: string;
  was: Buffer;
  is: Buffer;
}

/** Whose rotation. */
export interface RotationRef {
  tenantId: string;
  number: bigint;
}

export interface NewRotation {
  requestedBy: string;
  madeKey: boolean;
}

/** Rotations of key-encryption keys, and what they have still to wrap. */
export interface KeyRotationStore {
  /** Lets no other rotation of the tenant begin until the transaction ends. */
  lock(tx: Tx, tenantId: string): Promise<void>;
  /** Lets no other replica make a key in the keyring file until the transaction ends. */
  lockKeyring(tx: Tx): Promise<void>;
  /** The newest of a tenant's; undefined: there was none. */
  findLast(tenantId: string, tx?: Tx): Promise<KeyRotation | undefined>;
  begin(tx: Tx, tenantId: string, rotation: NewRotation): Promise<KeyRotation>;
  /** Data keys that a rotation has still to wrap, but for some. */
  findWaiting(ref: RotationRef, not: readonly string[], limit: number): Promise<StoredDataKey[]>;
  /** Puts wrapped keys in the place of those that they were made of; one that was changed since stays. */
  replace(ref: RotationRef, keys: readonly RewrappedKey[]): Promise<void>;
  /** Says that nothing is left to wrap but what is damaged; whoever says it first has it audited. */
  finish(ref: RotationRef, damaged: number): Promise<void>;
  count(tenantId: string): Promise<{ dataKeys: number; waiting: number }>;
  /** Rotations that are under way for so long that whoever began them will not finish them. */
  findAbandoned(limit: number): Promise<RotationRef[]>;
}
