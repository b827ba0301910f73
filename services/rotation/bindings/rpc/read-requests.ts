import type { AgentHistory as HistoryMessage } from "../../../../gen/murmur/rotation/v1/bindings";
import { AgentsOf, type ListBoundAgentsRequest } from "../../../../gen/murmur/rotation/v1/bindings";
import { invalid, permissionDenied } from "../../../../lib/errors";
import { type DeveloperPrincipal, hasRole } from "../../../../lib/identity/principal";
import { labelFault } from "../../../../lib/label";
import { isUuid } from "../../agents/domain/spawn-request";
import type { AgentHistory } from "../domain/bound-agent";

const PREFIX = /^[!-~]{0,16}$/;

/** Not shown again: people paste the key itself. */
export function readAgentId(text: string): string {
  if (isUuid(text)) return text.toLowerCase();
  throw invalid("agent_id", "agent_id must be an id, as lists show it, and never a key");
}

/** Empty: none. Not shown again, as it may be all of a key. */
export function readKeyPrefix(text: string): string {
  if (PREFIX.test(text)) return text;
  throw invalid("key_prefix", "key_prefix must be at most 16 visible ASCII characters");
}

/** Empty: unnamed. */
export function readName(text: string): string {
  const fault = labelFault("name", text);
  if (fault !== undefined) throw invalid("name", fault);
  return text;
}

/** Counts that are there. */
export function readHistory(history: HistoryMessage | undefined): AgentHistory {
  if (!history) throw invalid("history", "history is required");
  const fields = { traces: "traces", scores: "scores", trustEdges: "trust_edges" } as const;
  for (const [key, field] of Object.entries(fields) as [keyof AgentHistory, string][])
    if (history[key] < 0n)
      throw invalid(`history.${field}`, `history.${field} must not be negative`);
  return history;
}

/** Undefined: everybody's and nobody's; null: nobody's. */
export function readOwner(
  { id, role }: DeveloperPrincipal,
  { agentsOf }: ListBoundAgentsRequest,
): string | null | undefined {
  switch (agentsOf) {
    case AgentsOf.AGENTS_OF_UNSPECIFIED:
      return id;
    case AgentsOf.AGENTS_OF_NOBODY:
      return null;
    case AgentsOf.AGENTS_OF_EVERYBODY:
      if (hasRole(role, "admin")) return undefined;
      throw permissionDenied();
    default:
      throw invalid("agents_of", "agents_of is not one that is known");
  }
}
