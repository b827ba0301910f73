import type { Caller } from "../audit";
import type { IdentityKey, Vm } from "./vm";

export interface NewJoinToken {
  id: string;
  /** SHA-256 of the token. */
  hash: Buffer;
  vmName: string;
  ttlSeconds: number;
}

/** A join as a machine asks for it. Its signature was checked before. */
export interface JoinAttempt {
  tokenId: string;
  tokenHash: Buffer;
  key: IdentityKey;
  /** Network address of the machine. */
  peer: string;
}

/** Why a join token does not count; the caller of the RPC is told none of it. */
export type JoinRefusal = "unknown" | "expired" | "used" | "removed" | "tampered";

/** A VM and its key; `tampered` when the row was not written by this service. */
export type KeyLookup =
  { kind: "found"; vm: Vm; key: IdentityKey } | { kind: "unknown" } | { kind: "tampered"; vm: Vm };

export type JoinOutcome =
  | { kind: "joined"; vm: Vm; isFirst: boolean }
  | {
      kind: "refused";
      why: JoinRefusal;
      /** Who used it before, and from where, when it is known. */
      first?: { tenantId: string; vmName: string; peer: string };
    };

export interface Removal {
  sequence: bigint;
  tenantId: string;
  vmId: string;
}

/**
 * The register of VMs. Each method is one transaction with its audit rows; times are the database's.
 * Throws UNAVAILABLE when PostgreSQL, or a key that a MAC needs, is away.
 */
export interface VmStore {
  /** Keeps a new join token; an earlier unused one of the name ends. Returns when it expires. */
  issueJoinToken(caller: Caller, token: NewJoinToken): Promise<Date>;
  /**
   * Uses a join token: registers the key, under the name's VM when there is one. The same key may
   * ask again until the token expires; what is refused is audited all the same.
   */
  join(attempt: JoinAttempt): Promise<JoinOutcome>;
  /** A living VM and its key by id alone. */
  findKey(vmId: string): Promise<KeyLookup>;
  /** A VM that a tenant had when it was deleted, by id alone. */
  findDeparted(vmId: string): Promise<{ vm: Vm; key: IdentityKey } | undefined>;
  /** Notes that the VM was heard from. False when its rights ended or its key was replaced since. */
  touch(tenantId: string, vmId: string, keyThumbprint: string): Promise<boolean>;
  /** Records that somebody used a living VM's name without its key; at most once a minute per VM. */
  auditRefusal(vm: Vm, peer: string, action: string): Promise<void>;
  /** Whether this VM lives and holds this key, in the database now: no cache, no grace. */
  hasRights(tenantId: string, vmId: string, keyThumbprint: string): Promise<boolean>;
  /** Living VMs sorted by name, those beyond `after`; only the one named when a name is given. */
  list(
    tenantId: string,
    page: { limit: number; after: string | undefined },
    name?: string,
  ): Promise<Vm[]>;
  /** Ends a VM's rights; undefined when there is none of the name. */
  remove(caller: Caller, name: string): Promise<string | undefined>;
  /** At most 1000 removals after this one, in the order in which they were committed. */
  listRemovals(afterSequence: bigint): Promise<Removal[]>;
}
