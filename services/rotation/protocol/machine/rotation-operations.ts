import type { RotationTurn } from "./rotation-turn";
import type { AgentRow, Operation, SnapshotOf } from "./world";

/** An agent in a snapshot request, with the generation that it goes back to on a rollback. */
export const snapshotOf = (agent: AgentRow, rollbackTo?: number): SnapshotOf => ({
  agentId: agent.id,
  rollbackTo,
  expectsSpawnSecrets: agent.spawnSecrets,
});

/** Asks the catalog for snapshots; what is then done with them is kept in memory until it answers. */
export function startOperation(turn: RotationTurn, operation: Operation): void {
  const { starts, operationsStarted, operations } = turn.memory;
  const id = `${turn.replicaId}.${starts}.${operationsStarted}`;
  turn.memory = {
    ...turn.memory,
    operationsStarted: operationsStarted + 1,
    operations: { ...operations, [id]: operation },
  };
  askForSnapshot(turn, id, operation);
}

/** Sends, or sends again, an operation's request: the catalog answers a repeated one the same. */
export function askForSnapshot(turn: RotationTurn, id: string, operation: Operation): void {
  turn.effects.push({
    to: "catalog",
    message: {
      kind: "snapshot",
      requestId: id,
      replyTo: turn.replicaId,
      agents: operation.agents,
    },
  });
}

/** An operation whose answer has come, forgotten; none after a crash, or for a repeated answer. */
export function takeOperation(turn: RotationTurn, id: string): Operation | undefined {
  const { [id]: operation, ...operations } = turn.memory.operations;
  turn.memory = { ...turn.memory, operations };
  return operation;
}

/** Takes up an agent that has a row and no generation, unless that is under way here. */
export function startFirstSnapshot(turn: RotationTurn, agent: AgentRow): void {
  const underWay = Object.values(turn.memory.operations).some(
    (each) => each.kind === "first-snapshot" && each.agentId === agent.id,
  );
  if (underWay) return;
  const agents = [snapshotOf(agent)];
  startOperation(turn, { kind: "first-snapshot", agentId: agent.id, agents });
}

/** Makes a new generation for an agent whose desired one cannot be delivered. */
export function startRepair(turn: RotationTurn, agent: AgentRow): void {
  const underWay = Object.values(turn.memory.operations).some(
    (each) => each.kind === "repair" && each.agentId === agent.id,
  );
  if (underWay) return;
  startOperation(turn, { kind: "repair", agentId: agent.id, agents: [snapshotOf(agent)] });
}
