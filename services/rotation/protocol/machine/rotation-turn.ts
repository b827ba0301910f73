import type { Effect } from "./messages";
import type { Rules } from "./rules";
import type { AgentRow, ReplicaState, RotationState } from "./world";

/**
 * One event at one replica: a database transaction, and what the process keeps in memory. Both
 * states are replaced, never changed in place.
 */
export interface RotationTurn {
  readonly rules: Rules;
  readonly replicaId: string;
  readonly atMs: number;
  readonly effects: Effect[];
  db: RotationState;
  memory: ReplicaState;
}

export function putAgent(turn: RotationTurn, agent: AgentRow): void {
  turn.db = { ...turn.db, agents: { ...turn.db.agents, [agent.id]: agent } };
}

export function answer(
  turn: RotationTurn,
  requestId: string,
  outcome: "accepted" | "refused",
): void {
  turn.effects.push({ to: "client", message: { kind: "answer", requestId, outcome } });
}
