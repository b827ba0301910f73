import { permissionDenied } from "../../../../lib/errors";
import { hasRole, type Principal } from "../../../../lib/identity/principal";
import type { Agent } from "./agent";

/** Whether assertManages would let this caller. */
export function manages(principal: Principal, agent: Pick<Agent, "developer">): boolean {
  if (principal.kind !== "developer") return false;
  return hasRole(principal.role, "admin") || principal.id === agent.developer;
}

/**
 * A developer manages the trees that they spawned, an admin or owner every one of the tenant. Throws
 * PERMISSION_DENIED; that the agent is there is no secret within a tenant.
 */
export function assertManages(principal: Principal, agent: Pick<Agent, "developer">): void {
  if (principal.kind !== "developer") throw permissionDenied();
  if (manages(principal, agent)) return;
  throw permissionDenied(`only ${agent.developer}, an admin or an owner may do this to this agent`);
}
