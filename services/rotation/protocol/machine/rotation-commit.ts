import { isEnding } from "../phase";
import { rolloutState } from "../rollout";
import { ancestorsOf, descendantsOf } from "../tree";
import type { ToReplica } from "./messages";
import { answer, putAgent, type RotationTurn } from "./rotation-turn";
import { announce } from "./rotation-announce";
import { endAgent } from "./rotation-evidence";
import { takeOperation } from "./rotation-operations";
import type { AgentRow, Operation, Rollout, RolloutTarget } from "./world";

type Message<K extends ToReplica["kind"]> = Extract<ToReplica, { kind: K }>;
type RolloutOperation = Extract<Operation, { requestId: string }>;

/** The catalog's answer ends the operation in one transaction: desired, targets, outbox. */
export function onSnapshotTaken(turn: RotationTurn, message: Message<"snapshot-taken">): void {
  const operation = takeOperation(turn, message.operationId);
  if (operation === undefined) return;
  if (operation.kind === "rekey" || operation.kind === "rollback") {
    commitRollout(turn, operation, message);
  } else {
    commitAgent(turn, operation.agentId, message.generations[operation.agentId]);
    if (operation.kind === "first-snapshot") answer(turn, operation.agentId, "accepted");
  }
}

export function onSnapshotRefused(turn: RotationTurn, message: Message<"snapshot-refused">): void {
  const operation = takeOperation(turn, message.operationId);
  if (operation === undefined) return;
  const agent = turn.db.agents[message.agentId];
  if (message.reason === "spawn-secrets-expired" && agent !== undefined) {
    endAgent(turn, agent, "failed");
  }
  const { kind } = operation;
  if (kind === "rollback" && message.reason === "nothing-to-roll-back") {
    answer(turn, operation.requestId, "refused");
  }
  if (kind === "first-snapshot") answer(turn, operation.agentId, "refused");
}

function commitRollout(
  turn: RotationTurn,
  operation: RolloutOperation,
  taken: Message<"snapshot-taken">,
): void {
  const { requestId: id, kind, rootIds } = operation;
  answer(turn, id, "accepted");
  // The same request was committed meanwhile, by the other replica: the first rollout stands.
  if (id in turn.db.rollouts) return;
  const targets: Record<string, RolloutTarget> = {};
  for (const [agentId, generation] of Object.entries(taken.generations)) {
    const agent = turn.db.agents[agentId];
    if (agent === undefined) continue;
    targets[agentId] = newTarget(turn, agent, generation);
    giveGeneration(turn, agent, generation);
  }
  const { notRolledBack } = taken;
  putRollout(turn, { id, kind, rootIds, targets, notRolledBack });
  // Whoever appeared since the tree was read joins before anybody asks whether it is completed.
  const agents = Object.values(turn.db.agents);
  for (const agent of rootIds.flatMap((rootId) => descendantsOf(rootId, agents))) {
    if (agent.desired !== undefined) join(turn, agent, agent.desired, [id]);
  }
  announce(
    turn,
    Object.keys(targets).flatMap((agentId) => turn.db.agents[agentId]?.vmId ?? []),
  );
}

/** Gives one agent a generation: its first, or one in place of one that is gone. */
export function commitAgent(
  turn: RotationTurn,
  agentId: string,
  generation: number | undefined,
): void {
  const agent = turn.db.agents[agentId];
  if (agent === undefined || generation === undefined || isEnding(agent)) return;
  giveGeneration(turn, agent, generation);
  announce(turn, [agent.vmId]);
}

/** An agent's first generation, whoever asked for it, lets it join what is open above it. */
function giveGeneration(turn: RotationTurn, agent: AgentRow, generation: number): void {
  if (isEnding(agent)) return;
  if (agent.desired === undefined) {
    join(turn, agent, generation, openRolloutsAbove(turn, agent.id));
  }
  putAgent(turn, { ...agent, desired: turn.rules.raiseDesired(agent.desired, generation) });
}

function newTarget(turn: RotationTurn, agent: AgentRow, generation: number): RolloutTarget {
  return {
    agentId: agent.id,
    generation,
    source: turn.rules.rollbackSource(agent.desired, generation),
    state: turn.rules.openingState(generation, {
      applied: agent.applied,
      ending: isEnding(agent),
    }),
  };
}

function openRolloutsAbove(turn: RotationTurn, agentId: string): string[] {
  const ancestors = ancestorsOf(agentId, turn.db.agents);
  return Object.values(turn.db.rollouts)
    .filter(({ rootIds }) => rootIds.some((rootId) => ancestors.includes(rootId)))
    .filter(({ targets }) => rolloutState(Object.values(targets)) === "open")
    .map(({ id }) => id);
}

function join(turn: RotationTurn, agent: AgentRow, generation: number, open: string[]): void {
  if (isEnding(agent)) return;
  const rollouts = open.map((id) => ({
    id,
    agentIds: Object.keys(turn.db.rollouts[id]?.targets ?? {}),
  }));
  for (const { id } of turn.rules.joinsOpenRollouts(agent, rollouts)) {
    const rollout = turn.db.rollouts[id];
    if (rollout === undefined) continue;
    const target = { ...newTarget(turn, agent, generation), source: undefined };
    putRollout(turn, { ...rollout, targets: { ...rollout.targets, [agent.id]: target } });
  }
}

function putRollout(turn: RotationTurn, rollout: Rollout): void {
  turn.db = { ...turn.db, rollouts: { ...turn.db.rollouts, [rollout.id]: rollout } };
}
