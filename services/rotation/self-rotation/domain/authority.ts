import { permissionDenied } from "../../../../lib/errors";
import { type DeveloperPrincipal, hasRole } from "../../../../lib/identity/principal";
import type { RegisteredAgent } from "./registered-agent";
import { registeredAgentNotFound } from "./self-rotation-errors";

/** A developer sees their own agents, an admin or owner all of the tenant; others' are not there. */
export function assertVisible(
  developer: DeveloperPrincipal,
  agent: RegisteredAgent | undefined,
  idOrName: string,
): RegisteredAgent {
  if (agent && (agent.owner === developer.id || hasRole(developer.role, "admin"))) return agent;
  throw registeredAgentNotFound(idOrName);
}

/** Who sees it manages it; but of others' nobody one of a higher role. */
export function assertManages(
  developer: DeveloperPrincipal,
  agent: RegisteredAgent | undefined,
  id: string,
): RegisteredAgent {
  const seen = assertVisible(developer, agent, id);
  if (seen.owner === developer.id || hasRole(developer.role, seen.role)) return seen;
  throw permissionDenied("the agent has a higher role than its caller");
}
