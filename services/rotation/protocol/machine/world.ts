import type { Phase } from "../phase";
import type { Pins, Secrets } from "../snapshot";
import type { TargetState } from "../target";

/** Everything that exists: durable state, and what each process holds in memory. Plain data. */
export interface World {
  catalog: CatalogState;
  rotation: RotationState;
  replicas: Readonly<Record<string, ReplicaState>>;
  vms: Readonly<Record<string, VmState>>;
}

export interface CatalogState {
  secrets: Secrets;
  /** One row per agent that was ever snapshotted or released. */
  agents: Readonly<Record<string, GenerationRow>>;
  spawnSecrets: Readonly<Record<string, { givenAtMs: number; confirmed: boolean }>>;
  /** Answers of finished snapshot requests, so that a repeated one gets the same. */
  answers: Readonly<Record<string, SnapshotAnswer>>;
  /** Open database transactions: a crash rolls them back. */
  transactions: readonly SnapshotTransaction[];
}

export interface GenerationRow {
  last: number;
  floor: number | undefined;
  confirmedThrough: number | undefined;
  ended: boolean;
  snapshots: Readonly<Record<number, Snapshot>>;
}

export interface Snapshot {
  generation: number;
  takenAtMs: number;
  pins: Pins;
  rollback: boolean;
  spawnSecrets: boolean;
}

export interface SnapshotAnswer {
  generations: Readonly<Record<string, number>>;
  notRolledBack: readonly string[];
}

/** One agent in a snapshot request. */
export interface SnapshotOf {
  agentId: string;
  rollbackTo: number | undefined;
  expectsSpawnSecrets: boolean;
}

export interface SnapshotTransaction {
  requestId: string;
  replyTo: string;
  agents: readonly SnapshotOf[];
  stepsDone: number;
  /** The new generation of each agent whose row is locked. */
  numbers: Readonly<Record<string, number>>;
  read: Readonly<Record<string, { pins: Pins; notRolledBack: readonly string[] }>> | undefined;
}

export interface RotationState {
  agents: Readonly<Record<string, AgentRow>>;
  vms: Readonly<Record<string, VmRow>>;
  rollouts: Readonly<Record<string, Rollout>>;
  revocations: Readonly<Record<string, Revocation>>;
  /** What changed for whom, in commit order; readers keep their own place. */
  outbox: readonly { vmId: string }[];
}

export interface AgentRow {
  id: string;
  parentId: string | undefined;
  vmId: string;
  spawnSecrets: boolean;
  phase: Phase;
  killRequested: boolean;
  desired: number | undefined;
  applied: number | undefined;
  /** What the catalog is known to have been told. */
  released: Release | undefined;
}

export interface VmRow {
  bootId: string;
  /** 0 until the first hello. */
  incarnation: number;
  revision: number;
}

export interface Rollout {
  id: string;
  /** The agents that were named: one, or all whom a selection found. */
  rootIds: readonly string[];
  kind: "rekey" | "rollback";
  targets: Readonly<Record<string, RolloutTarget>>;
  notRolledBack: readonly string[];
}

export interface RolloutTarget {
  agentId: string;
  generation: number;
  source: number | undefined;
  state: TargetState;
}

/** An old version that ends as soon as nobody holds it. */
export interface Revocation {
  id: string;
  name: string;
  version: number;
  rolloutId: string;
  ended: boolean;
}

export interface Release {
  floor: number | undefined;
  confirmed: number | undefined;
  ended: boolean;
}

/** What one rotation process holds in memory. */
export interface ReplicaState {
  /** Counts starts: stands for the randomness in the ids of its operations. */
  starts: number;
  operationsStarted: number;
  cursor: number;
  /** The VMs whose stream it holds, and the life of the VM that opened it. */
  streams: Readonly<Record<string, number>>;
  operations: Readonly<Record<string, Operation>>;
}

/** A call that waits for the catalog's answer. */
export type Operation =
  | {
      kind: "rekey";
      requestId: string;
      rootIds: readonly string[];
      agents: readonly SnapshotOf[];
    }
  | {
      kind: "rollback";
      requestId: string;
      rootIds: readonly string[];
      agents: readonly SnapshotOf[];
    }
  | { kind: "first-snapshot" | "repair"; agentId: string; agents: readonly SnapshotOf[] };

export interface VmState {
  /** Disk: survives all. */
  bootId: string;
  incarnation: number;
  ended: Readonly<Record<string, Phase>>;
  diskFull: boolean;
  /** tmpfs: survives the daemon, not the machine. */
  files: Readonly<Record<string, { generation: number; pins: Pins }>>;
  /** Memory of the daemon. */
  replicaId: string | undefined;
  revisionSeen: number | undefined;
  completeRevisionSeen: number | undefined;
  desired: Readonly<Record<string, number>>;
}

const emptyReplica: ReplicaState = {
  starts: 1,
  operationsStarted: 0,
  cursor: 0,
  streams: {},
  operations: {},
};

const emptyVm = (id: string): VmState => ({
  bootId: `${id}-boot-1`,
  incarnation: 1,
  ended: {},
  diskFull: false,
  files: {},
  replicaId: undefined,
  revisionSeen: undefined,
  completeRevisionSeen: undefined,
  desired: {},
});

/** A world in which nothing has happened yet. */
export function emptyWorld(parties: { replicaIds: string[]; vmIds: string[] }): World {
  return {
    catalog: { secrets: {}, agents: {}, spawnSecrets: {}, answers: {}, transactions: [] },
    rotation: { agents: {}, vms: {}, rollouts: {}, revocations: {}, outbox: [] },
    replicas: Object.fromEntries(parties.replicaIds.map((id) => [id, emptyReplica])),
    vms: Object.fromEntries(parties.vmIds.map((id) => [id, emptyVm(id)])),
  };
}
