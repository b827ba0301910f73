import type { Ordinal } from "./generation";

/**
 * One agent in one rollout. `failed` means that its VM tried, could not, and goes on trying;
 * `skipped` that the agent ended before it got there, or was over already.
 */
export type TargetState = "pending" | "applied" | "failed" | "skipped";

/** The part of a target that the rules look at. */
export interface Target<G extends Ordinal = Ordinal> {
  agentId: string;
  generation: G;
}

/** Whether nothing more is to come for a target. */
export function isSettled(state: TargetState): boolean {
  return state === "applied" || state === "skipped";
}

/**
 * The open targets that an ack closes: those of its agent up to its generation, for a later
 * generation is never older. `open` may hold targets of any rollout.
 */
export function targetsSatisfiedBy<G extends Ordinal, T extends Target<G>>(
  ack: Target<G>,
  open: readonly T[],
): T[] {
  return open.filter((t) => t.agentId === ack.agentId && t.generation <= ack.generation);
}

/**
 * The state in which a target is written. The agent may already be there, when a later rekey was
 * committed and acked before this one was committed: no further ack would come for it.
 */
export function openingState<G extends Ordinal>(
  generation: G,
  agent: { applied: G | undefined; ending: boolean },
): TargetState {
  if (agent.ending) return "skipped";
  return agent.applied !== undefined && agent.applied >= generation ? "applied" : "pending";
}
