import { permissionDenied } from "../../../../lib/errors";
import { type DeveloperPrincipal, hasRole } from "../../../../lib/identity/principal";
import { registeredAgentNotFound } from "./binding-errors";
import type { BoundAgent } from "./bound-agent";

/** Throws NOT_FOUND when there is none in the caller's tenant. */
export function assertFound(agent: BoundAgent | undefined, id: string): BoundAgent {
  if (agent) return agent;
  throw registeredAgentNotFound(id);
}

/** A developer sees their own agents and those that nobody has claimed, an admin or owner all of the tenant. */
export function assertSees({ id, role }: DeveloperPrincipal, agent: BoundAgent): BoundAgent {
  if (isOwnOrUnclaimed(id, agent) || hasRole(role, "admin")) return agent;
  throw claimedByAnother();
}

/** Whatever the caller's role: whose key an agent works with is for its own account to say. */
export function assertOwns({ id }: DeveloperPrincipal, agent: BoundAgent): BoundAgent {
  if (agent.owner === id) return agent;
  if (agent.owner !== undefined) throw claimedByAnother();
  throw permissionDenied("the agent is unclaimed: claim it first");
}

/** Whether the developer may be told of it by a call about another agent. */
export function isOwnOrUnclaimed(developer: string, { owner }: BoundAgent): boolean {
  return owner === undefined || owner === developer;
}

export function claimedByAnother() {
  return permissionDenied("the agent is claimed by another account");
}
