import type { Tx } from "../../../lib/postgres/db";
import type { AuditEntry, Caller } from "../audit";
import type { SecretRef } from "../domain/environment-set";

/** An agent whose row is locked until the transaction ends. */
export interface LockedAgent {
  agentId: string;
  /** The number of the generation that is being made. */
  generation: bigint;
  floor: bigint;
  /** The set of the generation before; undefined before the first. */
  setId: Buffer | undefined;
  /** Names of variables that any generation had. */
  deliveredNames: readonly string[];
  hasEnded: boolean;
  /** Who stored the spawn-time secrets that wait for its first snapshot; undefined when none do. */
  leaseOwner: LeaseOwner | undefined;
}

/** The caller who stored spawn-time secrets. */
export type LeaseOwner = Pick<Caller, "kind" | "id">;

/** What is to be read for a snapshot. */
export interface SnapshotQuery {
  tenantId: string;
  workspaces: readonly string[];
  agentIds: readonly string[];
  /** Who spawned the roots of their trees. */
  developers: readonly string[];
  vmIds: readonly string[];
  setIds: readonly Buffer[];
  request: RequestKey | undefined;
}

export interface RequestKey {
  actor: string;
  id: string;
}

/** The answer of a call that was made before with the same request id. */
export interface EarlierAnswer {
  dataKeyId: string;
  bodyHash: Buffer;
  snapshots: StoredSnapshot[];
}

/** A snapshot as it is kept for the repetition of its request. */
export interface StoredSnapshot {
  agentId: string;
  generation: string;
  /** Hexadecimal. */
  fingerprint: string;
  isUnchanged: boolean;
  changedNames: string[];
  missingNames: string[];
  notRolledBackNames: string[];
}

/** The state that a snapshot is made of. */
export interface SnapshotFacts {
  /** Tenant secrets that any of the workspaces takes, sorted by name. */
  secrets: SecretRef[];
  /** By name; undefined refs take all. A workspace that is gone is absent. */
  workspaces: ReadonlyMap<string, readonly string[] | undefined>;
  /** Developers' own, by developer. */
  userSecrets: ReadonlyMap<string, SecretRef[]>;
  /** Names of the secrets that profiles make to GH_TOKEN, by developer. */
  tokenSecrets: ReadonlyMap<string, string>;
  /** By agent. */
  spawnSecrets: ReadonlyMap<string, SecretRef[]>;
  /** By set id in hexadecimal. */
  sets: ReadonlyMap<string, SecretRef[]>;
  /** Those of the VMs that are registered. */
  vmIds: ReadonlySet<string>;
  earlier: EarlierAnswer | undefined;
}

/** A stored generation with its set. */
export interface StoredGeneration {
  agentId: string;
  generation: bigint;
  vmId: string;
  setId: Buffer;
  unsetNames: readonly string[];
  dataKeyId: string;
  mac: Buffer;
  floor: bigint;
  refs: readonly SecretRef[];
}

/** What is stored of one new generation. */
export interface NewGeneration {
  agentId: string;
  generation: bigint;
  workspace: string;
  vmId: string;
  setId: Buffer;
  unsetNames: readonly string[];
  deliveredNames: readonly string[];
  mac: Buffer;
}

export interface NewSnapshot {
  dataKeyId: string;
  generations: readonly NewGeneration[];
  /** Distinct sets of those. */
  sets: ReadonlyMap<string, readonly SecretRef[]>;
  request: (RequestKey & { bodyHash: Buffer; answer: StoredSnapshot[] }) | undefined;
  audit: readonly AuditEntry[];
}

/**
 * The statements of a snapshot, in this order within one transaction. Locking and reading must not
 * be one statement: it would read as of before it waited, and a later generation could then hold an
 * older version than an earlier one.
 */
export interface SnapshotStore {
  /** Locks the agents in the order of their ids, making new ones, and numbers a generation each. */
  lock(tx: Tx, tenantId: string, agentIds: readonly string[]): Promise<Map<string, LockedAgent>>;
  read(tx: Tx, query: SnapshotQuery): Promise<SnapshotFacts>;
  /** Generations to roll back to. */
  readGenerations(
    tx: Tx,
    tenantId: string,
    refs: readonly { agentId: string; generation: bigint }[],
  ): Promise<StoredGeneration[]>;
  /** Which of these versions may not come back: deleted since, or made unreadable. */
  readDeadVersions(tx: Tx, tenantId: string, versionIds: readonly string[]): Promise<Set<string>>;
  write(tx: Tx, caller: Caller, snapshot: NewSnapshot): Promise<void>;
}
