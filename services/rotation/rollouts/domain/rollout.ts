import type { AgentProcess } from "../../agents/domain/agent-process";
import type { AgentReload } from "../../agents/domain/agent-reload";
import type { Canary, CanaryStage } from "./canary";
import type { PendingReason, TargetState } from "../../protocol";

/** `rekey` gives agents what they should have now, `rollback` what they had before another rollout. */
export type RolloutKind = "rekey" | "rollback";

/** One wish to bring agents to a new generation. */
export interface Rollout {
  tenantId: string;
  id: string;
  kind: RolloutKind;
  /** Of a rollback: the rollout that it takes back. */
  rollsBack: string | undefined;
  /** The latest rollback of this one. */
  rolledBackBy: string | undefined;
  workspace: string;
  /** Path of the agent that was named; empty where many were selected. */
  path: string;
  /** The secret whose holders were selected; empty: none. */
  secretName: string;
  requestedBy: string;
  reason: string;
  unchanged: boolean;
  warnings: readonly string[];
  acceptedAt: Date;
  completedAt: Date | undefined;
  counts: TargetCounts;
  /** Absent: it has none. */
  canary: Canary | undefined;
  /** Place in the order of acceptance, for pages. */
  sequence: bigint;
}

export interface TargetCounts {
  total: number;
  applied: number;
  failed: number;
  skipped: number;
}

/** How rotation knows a VM, for telling why it has not acked. */
export interface VmContact {
  state: "never-seen" | "offline" | "connected";
  removed: boolean;
  lastSeenAt: Date | undefined;
}

/** One agent in one rollout, as it is shown. */
export interface RolloutTarget {
  agentId: string;
  path: string;
  vmName: string;
  generation: bigint;
  state: TargetState;
  /** For failed: what the VM said; for skipped: the phase; empty otherwise. */
  reason: string;
  ackedAt: Date | undefined;
  omittedNames: readonly string[];
  /** The agent's last, if it was for this generation or a later one. */
  reload?: AgentReload | undefined;
  /** The agent's desired generation now. */
  desired: bigint;
  vm: VmContact;
}

/** What the processes of one agent of a rollout have taken over. */
export interface ProcessesOfAgent {
  agentId: string;
  path: string;
  /** What the rollout gave the agent. */
  generation: bigint;
  processes: readonly AgentProcess[];
  reportedAt: Date | undefined;
  /** Whether it was reported after the generation was acked. */
  isCurrent: boolean;
  reload?: AgentReload | undefined;
}

/** Whether a rollout still converges, or somebody is still to follow its canaries. */
export function isOpen({ counts, canary }: Pick<Rollout, "counts" | "canary">): boolean {
  const isUnderWay = canary !== undefined && !OVER.has(canary.stage);
  return isUnderWay || counts.applied + counts.skipped < counts.total;
}

const OVER: ReadonlySet<CanaryStage> = new Set(["passed", "rolled-back", "stopped"]);

/** What is known of why a target is pending or failed, in words. */
export function pendingReasonText(
  why: PendingReason,
  target: Pick<RolloutTarget, "vmName" | "reason" | "desired" | "vm">,
): string {
  const vm = `VM "${target.vmName}"`;
  switch (why) {
    case "vm-never-seen":
      return `${vm} has never connected`;
    case "vm-offline":
      if (target.vm.removed) return `${vm} was removed`;
      return `${vm} is offline, last seen ${target.vm.lastSeenAt?.toISOString() ?? "never"}`;
    case "apply-failed":
      return target.reason;
    case "superseded":
      return `superseded by generation ${target.desired}, which is on its way`;
    case "waiting-for-ack":
      return `${vm} is connected and has not acked yet`;
  }
}
