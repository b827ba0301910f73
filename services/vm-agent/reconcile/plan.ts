import { type DesiredAgent, AgentWish } from "../../../gen/murmur/rotation/v1/vm_sync";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";

/** What stands on this machine for one agent. */
export interface LocalAgent {
  agentId: string;
  /** The set in force, when there is one. */
  applied?: { generation: bigint; fingerprint: Buffer } | undefined;
  /** Whether the set in force is not as it was written. */
  isDamaged: boolean;
  /** What the supervisor knows: nothing, a living agent, or one that is over. */
  life: "none" | "living" | "ended";
}

/** One agent whose files have to change. */
export interface Fetch {
  agentId: string;
  generation: bigint;
}

/** What has to be done so that this machine is as desired. */
export interface Plan {
  fetch: Fetch[];
  /** Agents to start; their sets stand or are fetched first. */
  start: DesiredAgent[];
  /** Agents to end. */
  end: string[];
  /** Agents that are over and that nobody asks for any more. */
  forget: string[];
  /** Agents that should live and of which this machine knows nothing: they are reported lost. */
  lost: DesiredAgent[];
  /** Agents that were to be started and were ended before that: they are reported cancelled. */
  neverStarted: DesiredAgent[];
}

/**
 * Compares desired with local state; pure and level-triggered, so it does not matter how often or
 * in which order news came. A generation below the applied one is never fetched; a living agent
 * that nobody mentions is left alone.
 */
export function planWork(
  desired: ReadonlyMap<string, DesiredAgent>,
  isComplete: boolean,
  local: ReadonlyMap<string, LocalAgent>,
): Plan {
  const plan: Plan = { fetch: [], start: [], end: [], forget: [], lost: [], neverStarted: [] };
  for (const agent of desired.values()) planAgent(plan, agent, local.get(agent.agentId));
  if (isComplete) {
    for (const { agentId, life } of local.values()) {
      if (!desired.has(agentId) && life !== "living") plan.forget.push(agentId);
    }
  }
  return plan;
}

function planAgent(plan: Plan, agent: DesiredAgent, local: LocalAgent | undefined): void {
  const life = local?.life ?? "none";
  if (life === "ended") return;
  if (agent.wish === AgentWish.AGENT_WISH_END) {
    if (life === "living") plan.end.push(agent.agentId);
    else plan.neverStarted.push(agent);
    return;
  }
  if (agent.wish !== AgentWish.AGENT_WISH_RUN) return;
  if (life === "none" && agent.phase !== AgentPhase.AGENT_PHASE_STARTING) {
    plan.lost.push(agent);
    return;
  }
  if (needsFetch(agent, local))
    plan.fetch.push({ agentId: agent.agentId, generation: agent.generation });
  if (life === "none" && agent.generation > 0n) plan.start.push(agent);
}

function needsFetch(agent: DesiredAgent, local: LocalAgent | undefined): boolean {
  if (agent.generation === 0n) return false;
  const applied = local?.applied;
  if (!applied || applied.generation < agent.generation) return true;
  if (applied.generation > agent.generation) return false;
  return local.isDamaged || !applied.fingerprint.equals(agent.fingerprint);
}
