import type { ExitStatus } from "../../agents/domain/agent";
import type { AgentAdoption } from "../../agents/domain/agent-adoption";
import type { AgentHealth } from "../../agents/domain/agent-health";
import type { AgentProcess } from "../../agents/domain/agent-process";
import type { AgentReload } from "../../agents/domain/agent-reload";
import type { Incarnation, Phase } from "../../protocol";

/** Which machine speaks, in which of its lives. */
export interface VmIncarnation extends Incarnation<bigint> {
  tenantId: string;
  vmId: string;
  /** The random name of the daemon's start, beside its number. */
  incarnationName: string;
}

/** What stands on a VM's files, as its hello says. */
export interface AppliedGeneration {
  agentId: string;
  generation: bigint;
  fingerprint: Buffer;
}

/** Evidence that an agent stands on a generation. */
export interface AppliedAck extends AppliedGeneration {
  from: VmIncarnation;
  omittedNames: readonly string[];
}

/** Word that a VM tried to bring an agent to a generation and could not; it goes on trying. */
export interface FailedAck {
  from: VmIncarnation;
  agentId: string;
  generation: bigint;
  reason: string;
}

/** One agent as its VM sees it. */
export interface Report {
  from: VmIncarnation;
  agentId: string;
  phase: Phase;
  exit: ExitStatus | undefined;
  processes: readonly AgentProcess[];
  /** Absent: its VM knows of none. */
  reload: AgentReload | undefined;
  /** Absent: its VM knows of none. */
  health: AgentHealth | undefined;
  /** Absent: it was started, not adopted. */
  adoption: AgentAdoption | undefined;
}

/** What a VM says when it comes. */
export interface VmHello {
  from: VmIncarnation;
  name: string;
  keyThumbprint: string;
  applied: readonly AppliedGeneration[];
}

/** A rollout of which a target has changed. */
export interface RolloutRef {
  tenantId: string;
  rolloutId: string;
}

/** A rollout of which targets were settled. */
export interface SettledOfRollout extends RolloutRef {
  /** How many. */
  settled: number;
  /** Since the rollout was accepted, by the database's clock. */
  afterMs: number;
}

/** The generation that a VM has acked with another fingerprint than the catalog said. */
export interface Mismatch {
  tenantId: string;
  vmId: string;
  agentId: string;
  generation: bigint;
}

/** What an ack of a set with a wrong fingerprint leaves as the target's reason. */
export const MISMATCH_REASON = "open: the set's fingerprint is not the one that the catalog made";
