import type {
  Agent as AgentMessage,
  ExitStatus as ExitMessage,
} from "../../../../gen/murmur/rotation/v1/agents";
import { toPhase } from "../../announce/desired-state";
import type { Agent, ExitStatus } from "../domain/agent";
import { toAdoptionMessage } from "../domain/agent-adoption";
import { toReloadMessage } from "../domain/agent-reload";

/** An agent as the contract shows it. */
export function toAgent(agent: Agent): AgentMessage {
  return {
    agentId: agent.id,
    workspace: agent.workspace,
    slug: agent.slug,
    path: agent.path,
    parentAgentId: agent.parentId ?? "",
    vmId: agent.vmId,
    vmName: agent.vmName,
    phase: toPhase(agent.phase),
    desiredGeneration: agent.desired,
    appliedGeneration: agent.applied,
    createdAt: agent.createdAt,
    endedAt: agent.endedAt,
    exitStatus: agent.exit && toExitStatus(agent.exit),
    developer: agent.developer,
    killRequested: agent.killRequested,
    reload: toReloadMessage(agent.reload),
    adoption: toAdoptionMessage(agent.adoption),
  };
}

function toExitStatus({ kind, value }: ExitStatus): ExitMessage {
  if (kind === "code") return { how: { $case: "code", value: Number(value) } };
  return { how: { $case: kind, value } };
}
