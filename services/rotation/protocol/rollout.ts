import type { Ordinal } from "./generation";
import { isSettled, type TargetState } from "./target";

/** A rollout is open while a target is pending or failed. */
export type RolloutState = "open" | "completed";

export function rolloutState(targets: readonly { state: TargetState }[]): RolloutState {
  return targets.every((target) => isSettled(target.state)) ? "completed" : "open";
}

/**
 * Which of its ancestors' open rollouts an agent joins, with the generation of its own snapshot:
 * those that it is not in yet. To be asked in the transaction that gives the agent its first
 * generation, and in the one that opens a rollout for agents that appeared since its tree was read
 * (those that have a generation; the others join when they get theirs). The agent's row was
 * committed before its snapshot was taken, so that its versions are not older than the rollout's.
 */
export function joinsOpenRollouts<R extends { agentIds: readonly string[] }>(
  agent: { id: string },
  ancestorsOpenRollouts: readonly R[],
): R[] {
  return ancestorsOpenRollouts.filter((rollout) => !rollout.agentIds.includes(agent.id));
}

/** Why a target has not acked, by what rotation knows. Words are the caller's. */
export type PendingReason =
  "vm-never-seen" | "vm-offline" | "apply-failed" | "superseded" | "waiting-for-ack";

/**
 * The first reason that explains why a target is open. `superseded`: the agent is wanted on a later
 * generation, whose ack will close this target too.
 */
export function whyPending<G extends Ordinal>(
  target: { generation: G; state: TargetState },
  agent: { desired: G; vm: "never-seen" | "offline" | "connected" },
): PendingReason {
  if (agent.vm === "never-seen") return "vm-never-seen";
  if (agent.vm === "offline") return "vm-offline";
  if (target.state === "failed") return "apply-failed";
  return agent.desired > target.generation ? "superseded" : "waiting-for-ack";
}
