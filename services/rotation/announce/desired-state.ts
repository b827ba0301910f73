import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import {
  AgentWish,
  type DesiredAgent,
  type VmDesiredState,
} from "../../../gen/murmur/rotation/v1/vm_sync";
import type { LaunchableAgent } from "../agents/domain/agent";
import { toHealthCheck } from "../agents/domain/agent-health";
import type { Phase } from "../protocol";

const PHASES: Record<Phase, AgentPhase> = {
  starting: AgentPhase.AGENT_PHASE_STARTING,
  running: AgentPhase.AGENT_PHASE_RUNNING,
  idle: AgentPhase.AGENT_PHASE_IDLE,
  completed: AgentPhase.AGENT_PHASE_COMPLETED,
  failed: AgentPhase.AGENT_PHASE_FAILED,
  cancelled: AgentPhase.AGENT_PHASE_CANCELLED,
};

/** The phase as the contract names it. */
export function toPhase(phase: Phase): AgentPhase {
  return PHASES[phase];
}

/** The phase that a VM reports; undefined for one that no VM can mean. */
export function fromPhase(phase: AgentPhase): Phase | undefined {
  const found = Object.entries(PHASES).find(([, value]) => value === phase);
  return found?.[0] as Phase | undefined;
}

/** What a VM is told: all that it should have, or what changed. */
export function toDesiredState(
  agents: readonly LaunchableAgent[],
  complete: boolean,
  traceparent = "",
): VmDesiredState {
  return { complete, agents: agents.map(toDesiredAgent), traceparent };
}

function toDesiredAgent(agent: LaunchableAgent): DesiredAgent {
  const isWanted = !agent.killRequested;
  return {
    agentId: agent.id,
    workspace: agent.workspace,
    path: agent.path,
    wish: isWanted ? AgentWish.AGENT_WISH_RUN : AgentWish.AGENT_WISH_END,
    generation: agent.desired,
    fingerprint: agent.fingerprint,
    command: [...agent.command],
    workingDirectory: agent.workingDirectory,
    parentAgentId: agent.parentId ?? "",
    developer: agent.developer,
    phase: PHASES[agent.phase],
    settings: agent.settings,
    healthCheck: toHealthCheck(agent.healthCheck),
  };
}
