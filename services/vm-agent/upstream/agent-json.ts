import {
  type Adoption,
  agentPhaseToJSON,
  type Agent,
  type AgentProcess,
  type ExitStatus,
  reloadOutcomeToJSON,
  type ReloadResult,
} from "../../../gen/murmur/rotation/v1/agents";

/** An agent as the local socket tells it, named as in the proto file. */
export function agentToJson(agent: Agent): Record<string, unknown> {
  return {
    agent_id: agent.agentId,
    workspace: agent.workspace,
    path: agent.path,
    phase: agentPhaseToJSON(agent.phase).replace("AGENT_PHASE_", "").toLowerCase(),
    vm: agent.vmName,
    desired_generation: String(agent.desiredGeneration),
    applied_generation: String(agent.appliedGeneration),
    created_at: agent.createdAt,
    ended_at: agent.endedAt,
    exit: agent.exitStatus && exitWords(agent.exitStatus),
    developer: agent.developer,
    kill_requested: agent.killRequested,
    reload: agent.reload && reloadToJson(agent.reload),
    adoption: agent.adoption && adoptionToJson(agent.adoption),
  };
}

function adoptionToJson(adoption: Adoption): Record<string, unknown> {
  const { pid, name, startedAt, directory, canUse, cannotUse } = adoption;
  return { pid, name, started_at: startedAt, directory, can_use: canUse, cannot_use: cannotUse };
}

function reloadToJson({ generation, outcome, reason, at }: ReloadResult): Record<string, unknown> {
  const word = reloadOutcomeToJSON(outcome).replace("RELOAD_OUTCOME_", "").toLowerCase();
  return { generation: String(generation), outcome: word, reason, at };
}

export function processToJson(process: AgentProcess): Record<string, unknown> {
  return {
    pid: process.pid,
    parent_pid: process.parentPid,
    name: process.name,
    generation: String(process.generation),
    layer: process.layer,
    reads_through: process.readsThrough,
    not_applied_natively: process.notAppliedNatively,
    first_used_at: process.firstUsedAt,
    last_used_before_at: process.lastUsedBeforeAt,
  };
}

function exitWords({ how }: ExitStatus): string | undefined {
  return how?.$case === "code" ? `status ${how.value}` : how?.value;
}
