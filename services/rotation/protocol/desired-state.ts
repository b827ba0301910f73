import type { Ordinal } from "./generation";

/** What rotation tells a VM: all its agents, or those that changed. */
export interface DesiredState<R extends Ordinal = Ordinal> {
  /** Counts up with each change of the VM's desired state, in the transaction that changes it. */
  revision: R;
  /** Whether agents that are not listed are over. */
  complete: boolean;
  agentIds: readonly string[];
}

/**
 * The agents on a VM that are over because a complete state does not list them. A complete state
 * that was read before a change that the VM has already heard of says nothing about who is over:
 * its reading and the change's announcement overtook each other.
 */
export function agentsToForget<R extends Ordinal>(
  known: readonly string[],
  state: DesiredState<R>,
  revisionSeen: R | undefined,
): string[] {
  if (!state.complete) return [];
  if (revisionSeen !== undefined && state.revision < revisionSeen) return [];
  return known.filter((agentId) => !state.agentIds.includes(agentId));
}

/**
 * Whether a VM must drop a state unread: it was sent before a complete one that the VM has followed
 * since, and might bring back an agent that is over and forgotten.
 */
export function isOvertaken<R extends Ordinal>(
  state: Pick<DesiredState<R>, "revision">,
  completeRevisionSeen: R | undefined,
): boolean {
  return completeRevisionSeen !== undefined && state.revision < completeRevisionSeen;
}
