import type { BoundAgent as AgentMessage } from "../../../../gen/murmur/rotation/v1/bindings";
import type { BoundAgent } from "../domain/bound-agent";

/** An agent as the contract shows it: without its hash. */
export function toBoundAgent(agent: BoundAgent): AgentMessage {
  return {
    agentId: agent.id,
    name: agent.name,
    claimed: agent.owner !== undefined,
    owner: agent.owner ?? "",
    bound: agent.hash !== undefined,
    keyPrefix: agent.keyPrefix,
    createdAt: agent.createdAt,
    rekeyedAt: agent.rekeyedAt,
    rekeyCount: agent.rekeyCount,
    observedAt: agent.observedAt,
    deactivatedAt: agent.deactivatedAt,
    history: agent.history,
    revokedAt: agent.revokedAt,
  };
}
