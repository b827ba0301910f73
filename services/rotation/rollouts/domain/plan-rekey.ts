import { generationOrNone, skippedReason, type LaunchableAgent } from "../../agents/domain/agent";
import {
  isEnding,
  openingState,
  raiseDesired,
  rekeyScope,
  rollbackSource,
  type TargetState,
} from "../../protocol";

/** A generation that the catalog made for an agent. */
export interface Snapshot {
  agentId: string;
  generation: bigint;
  fingerprint: Buffer;
  unchanged: boolean;
  /** Names in the workspace's `secret_refs` that do not exist. */
  missingNames: readonly string[];
  /** On a rollback: names whose old version is gone, so that they keep their current state. */
  notRolledBackNames: readonly string[];
  /** What the catalog sealed for the VM, for passing on unread; may be empty. */
  sealedAhead: Buffer;
}

/** One target as it is written. */
export interface PlannedTarget {
  agent: LaunchableAgent;
  generation: bigint;
  state: TargetState;
  reason: string;
  rollbackSource: bigint | undefined;
}

/** What the transaction of a rekey writes. */
export interface RekeyPlan {
  targets: PlannedTarget[];
  /** Agents whose desired generation rises, as they are then, with the new fingerprint. */
  raised: LaunchableAgent[];
  unchanged: boolean;
}

/**
 * Decides what a rekey does to the agents of its tree as they are while they are locked:
 *
 * - those over or on their way out are skipped;
 * - those with a snapshot get it, unless a later rekey was committed first;
 * - those that appeared since the tree was read join with the generation that they have;
 * - those that got none for a reason (`leftOut`) are skipped for it;
 * - those that have none yet are not in it: they join when they get theirs.
 */
export function planRekey(
  agents: readonly LaunchableAgent[],
  snapshots: ReadonlyMap<string, Snapshot>,
  leftOut: ReadonlyMap<string, string>,
): RekeyPlan {
  const targets = agents.flatMap((agent) => {
    const reason = leftOut.get(agent.id);
    if (reason === undefined || isEnding(agent)) return planTarget(agent, snapshots.get(agent.id));
    return [leaveOut(agent, reason)];
  });
  const raised = agents.flatMap((agent) => raise(agent, snapshots.get(agent.id)));
  return { targets, raised, unchanged: [...snapshots.values()].every((it) => it.unchanged) };
}

/** Whether anything of the tree lives, so that a rekey of it makes sense. */
export function hasLiving<A extends Parameters<typeof rekeyScope>[0]>(
  root: A,
  descendants: readonly A[],
): boolean {
  return rekeyScope(root, descendants).targets.length > 0;
}

function planTarget(agent: LaunchableAgent, snapshot: Snapshot | undefined): PlannedTarget[] {
  const generation = snapshot?.generation ?? agent.desired;
  const ending = isEnding(agent);
  if (generation === 0n && !ending) return [];
  const state = openingState(generation, {
    applied: generationOrNone(agent.applied),
    ending,
  });
  const source = snapshot && rollbackSource(generationOrNone(agent.desired), generation);
  const reason = state === "skipped" ? skippedReason(agent) : "";
  return [{ agent, generation, state, reason, rollbackSource: source }];
}

function leaveOut(agent: LaunchableAgent, reason: string): PlannedTarget {
  return { agent, generation: agent.desired, state: "skipped", reason, rollbackSource: undefined };
}

function raise(agent: LaunchableAgent, snapshot: Snapshot | undefined): LaunchableAgent[] {
  if (!snapshot || isEnding(agent)) return [];
  const desired = raiseDesired(agent.desired, snapshot.generation);
  if (desired === agent.desired) return [];
  const { fingerprint } = snapshot;
  return [{ ...agent, desired, fingerprint, revision: agent.revision + 1n }];
}
