import { isEnding, isTerminal, mergeReport, nextPhase, type Phase } from "../phase";
import { isSettled, type TargetState } from "../target";
import type { ToReplica } from "./messages";
import { putAgent, type RotationTurn } from "./rotation-turn";
import { raiseRevisions, tellVm } from "./rotation-announce";
import { startRepair } from "./rotation-operations";
import type { AgentRow, RolloutTarget } from "./world";

type Message<K extends ToReplica["kind"]> = Extract<ToReplica, { kind: K }>;

/** A VM's hello replaces what was believed of it, and is answered with its whole desired state. */
export function onHello(turn: RotationTurn, message: Message<"hello">): void {
  const { vmId, bootId, incarnation } = message;
  const row = turn.db.vms[vmId] ?? { bootId, incarnation: 0, revision: 0 };
  if (!turn.rules.isHelloCurrent(row, message)) return;
  const vms = { ...turn.db.vms, [vmId]: { ...row, bootId, incarnation } };
  turn.db = { ...turn.db, vms };
  const placed = Object.values(turn.db.agents).filter((agent) => agent.vmId === vmId);
  const believed = Object.fromEntries(placed.map(({ id, applied }) => [id, applied]));
  const merged = turn.rules.mergeHello(believed, message);
  for (const agent of placed) {
    const applied = merged[agent.id];
    if (applied !== agent.applied) putAgent(turn, { ...agent, applied });
    const said = message.applied[agent.id];
    if (said !== undefined) believeApplied(turn, agent.id, said);
    const end = message.ended[agent.id];
    if (end !== undefined) believeReport(turn, agent.id, end);
  }
  turn.memory = {
    ...turn.memory,
    streams: { ...turn.memory.streams, [vmId]: incarnation },
  };
  tellVm(turn, vmId, true);
}

export function onAck(turn: RotationTurn, message: Message<"ack">): void {
  const { vmId, agentId, generation, outcome } = message;
  const agent = turn.db.agents[agentId];
  if (agent?.vmId !== vmId) return;
  if (!turn.rules.isAckCurrent(turn.db.vms[vmId], message)) return;
  if (outcome === "failed") {
    settleTargets(turn, agentId, "failed", generation);
    return;
  }
  const applied = turn.rules.raiseApplied(agent.applied, generation);
  if (applied !== agent.applied) putAgent(turn, { ...agent, applied });
  believeApplied(turn, agentId, generation);
}

/** What an applied generation proves: the agent runs, and its targets up to it are reached. */
function believeApplied(turn: RotationTurn, agentId: string, generation: number): void {
  const agent = turn.db.agents[agentId];
  if (agent === undefined || isEnding(agent)) return;
  const phase = nextPhase(agent.phase, "started");
  if (phase !== agent.phase) putAgent(turn, { ...agent, phase });
  settleTargets(turn, agentId, "applied", generation);
}

export function onReport(turn: RotationTurn, message: Message<"report">): void {
  if (!turn.rules.isAckCurrent(turn.db.vms[message.vmId], message)) return;
  if (turn.db.agents[message.agentId]?.vmId !== message.vmId) return;
  believeReport(turn, message.agentId, message.phase);
}

function believeReport(turn: RotationTurn, agentId: string, reported: Phase): void {
  const agent = turn.db.agents[agentId];
  if (agent !== undefined) endAgent(turn, agent, reported);
}

/** Takes an agent to a reported phase; what it had not reached when it ended is skipped. */
export function endAgent(turn: RotationTurn, agent: AgentRow, reported: Phase): void {
  const phase = mergeReport(agent.phase, reported, agent.killRequested);
  putAgent(turn, { ...agent, phase });
  if (!isTerminal(phase) || isTerminal(agent.phase)) return;
  settleTargets(turn, agent.id, "skipped");
  raiseRevisions(turn, [agent.vmId]);
}

/** A VM could not get what it should: only a new generation helps, if that one is still desired. */
export function onGone(turn: RotationTurn, message: Message<"gone">): void {
  const agent = turn.db.agents[message.agentId];
  if (agent === undefined || isEnding(agent) || agent.vmId !== message.vmId) return;
  if (turn.rules.needsNewSnapshot(agent.desired, message.generation)) startRepair(turn, agent);
}

/** Writes the state of an agent's open targets: of all, or of those that a generation satisfies. */
export function settleTargets(
  turn: RotationTurn,
  agentId: string,
  state: TargetState,
  generation = Infinity,
): void {
  for (const rollout of Object.values(turn.db.rollouts)) {
    const target = rollout.targets[agentId];
    if (target === undefined || isSettled(target.state)) continue;
    if (turn.rules.targetsSatisfiedBy({ agentId, generation }, [target]).length === 0) continue;
    const settled: RolloutTarget = { ...target, state };
    const next = { ...rollout, targets: { ...rollout.targets, [agentId]: settled } };
    turn.db = { ...turn.db, rollouts: { ...turn.db.rollouts, [rollout.id]: next } };
  }
}
