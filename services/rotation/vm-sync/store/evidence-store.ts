import type { Db, Tx } from "../../../../lib/postgres/db";
import type { Agent, LaunchableAgent } from "../../agents/domain/agent";
import type { VmContact } from "../../rollouts/domain/rollout";
import type {
  AppliedAck,
  FailedAck,
  Mismatch,
  Report,
  RolloutRef,
  SettledOfRollout,
  VmHello,
  VmIncarnation,
} from "../domain/evidence";

/** What acks have changed. */
export interface AcksRecorded {
  rollouts: SettledOfRollout[];
  mismatches: Mismatch[];
}

/** Keeps what VMs say of their agents. Nothing is believed of a VM but of its own agents. */
export interface EvidenceStore {
  /**
   * Records what stands; one statement for any number of acks of any VMs. An ack counts when its
   * agent is placed on the VM that sent it, in the life of the VM that said hello last, with the
   * fingerprint that the catalog gave. At most one ack of an agent in a call.
   */
  recordApplied(db: Db, acks: readonly AppliedAck[]): Promise<AcksRecorded>;
  recordFailed(db: Db, acks: readonly FailedAck[]): Promise<RolloutRef[]>;
  /** Records phases, ends and processes of agents. */
  recordReports(tx: Tx, reports: readonly Report[]): Promise<RolloutRef[]>;
  /** Closes the open targets that what is known to stand satisfies. */
  closeSatisfied(tx: Tx, agents: readonly StandingAgent[]): Promise<SettledOfRollout[]>;
  /** Settles the open targets of agents that are over or on their way out. */
  skipTargets(tx: Tx, agents: readonly SkippedAgent[]): Promise<RolloutRef[]>;
  /**
   * Makes the VM known in its present life, and believes what it says that it has. Returns its living
   * agents as they are believed then.
   */
  recordHello(tx: Tx, hello: VmHello, contact: VmConnection): Promise<Agent[]>;
}

/** By which way a VM speaks; a stream has an id. */
export interface VmConnection {
  replicaId: string;
  streamId: string | undefined;
}

export interface StandingAgent {
  tenantId: string;
  agentId: string;
  omittedNames: readonly string[];
}

export interface SkippedAgent {
  tenantId: string;
  id: string;
  /** The phase. */
  reason: string;
}

/**
 * The living agents of a VM; `news` when what it claims is not what is believed, and `another life`
 * when it is not the machine, in the life, that said hello last: `recordHello` judges it then.
 */
export type DesiredOfKnown = LaunchableAgent[] | "news" | "another life";

/** The VMs themselves. */
export interface VmStore {
  /** What a VM should have, when it says just what is known of it already. */
  desiredOfKnown(hello: VmHello): Promise<DesiredOfKnown>;
  /** Notes a call of a VM that is known. */
  touch(vm: Pick<VmIncarnation, "tenantId" | "vmId">): Promise<void>;
  /** Forgets a stream, unless another has replaced it since. */
  disconnect(vm: Pick<VmIncarnation, "tenantId" | "vmId">, streamId: string): Promise<void>;
  /** Says that this replica lives, and so do its streams. */
  beat(replicaId: string): Promise<void>;
  listStatuses(tenantId: string): Promise<VmStatus[]>;
  /** What is known of a VM that agents are placed on. */
  contactOf(tenantId: string, vmId: string): Promise<VmContact>;
  /** How far the catalog's removals have been carried out. */
  removalsCursor(): Promise<bigint>;
  moveRemovalsCursor(sequence: bigint): Promise<void>;
  /** Marks a VM as removed and returns its living agents. */
  remove(tx: Tx, tenantId: string, vmId: string): Promise<Agent[]>;
}

/** One VM as it is listed. */
export interface VmStatus {
  vmId: string;
  name: string;
  lastSeenAt: Date | undefined;
  connected: boolean;
  living: number;
  behind: number;
}
