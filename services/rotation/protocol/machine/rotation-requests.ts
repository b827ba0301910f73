import { isEnding } from "../phase";
import { descendantsOf, rekeyScope } from "../tree";
import type { ToReplica } from "./messages";
import { announce } from "./rotation-announce";
import { settleTargets } from "./rotation-evidence";
import { snapshotOf, startFirstSnapshot, startOperation } from "./rotation-operations";
import { answer, putAgent, type RotationTurn } from "./rotation-turn";
import type { AgentRow } from "./world";

type Message<K extends ToReplica["kind"]> = Extract<ToReplica, { kind: K }>;

export function onRekey(turn: RotationTurn, { requestId, rootIds }: Message<"rekey">): void {
  if (answeredBefore(turn, requestId)) return;
  const agents = Object.values(turn.db.agents);
  // One that is below another is found twice.
  const found = new Map(
    rootIds.flatMap((rootId) => {
      const root = turn.db.agents[rootId];
      const scope = root && rekeyScope(root, descendantsOf(rootId, agents));
      return (scope?.targets ?? []).map((agent) => [agent.id, agent] as const);
    }),
  );
  if (found.size === 0) {
    answer(turn, requestId, "refused");
    return;
  }
  const targets = [...found.values()].map((agent) => snapshotOf(agent));
  startOperation(turn, { kind: "rekey", requestId, rootIds, agents: targets });
}

export function onRollback(turn: RotationTurn, message: Message<"rollback">): void {
  const { requestId, rolloutId } = message;
  if (answeredBefore(turn, requestId)) return;
  const rollout = turn.db.rollouts[rolloutId];
  const targets = Object.values(rollout?.targets ?? {}).flatMap(({ agentId, source }) => {
    const agent = turn.db.agents[agentId];
    const goes = agent !== undefined && !isEnding(agent) && source !== undefined;
    return goes ? [snapshotOf(agent, source)] : [];
  });
  if (rollout === undefined || targets.length === 0) {
    answer(turn, requestId, "refused");
    return;
  }
  const { rootIds } = rollout;
  startOperation(turn, { kind: "rollback", requestId, rootIds, agents: targets });
}

/** A request that was committed is answered alike; one that is under way here is left to itself. */
function answeredBefore(turn: RotationTurn, requestId: string): boolean {
  if (requestId in turn.db.rollouts) {
    answer(turn, requestId, "accepted");
    return true;
  }
  return Object.values(turn.memory.operations).some(
    (each) => (each.kind === "rekey" || each.kind === "rollback") && each.requestId === requestId,
  );
}

/** Commits the agent's row first; only then is its snapshot asked for. */
export function onSpawn(turn: RotationTurn, message: Message<"spawn">): void {
  const { agentId } = message;
  const known = turn.db.agents[agentId];
  if (known === undefined && !insertAgent(turn, message)) return;
  const agent = turn.db.agents[agentId];
  if (agent === undefined || isEnding(agent)) answer(turn, agentId, "refused");
  else if (agent.desired !== undefined) answer(turn, agentId, "accepted");
  else startFirstSnapshot(turn, agent);
}

/** The row, unless its parent may have no child (asked with the parent locked `for share`). */
export function insertAgent(turn: RotationTurn, message: Message<"spawn">): boolean {
  const { agentId, parentId, vmId, spawnSecrets } = message;
  if (parentId !== undefined && !turn.rules.mayHaveChild(turn.db.agents[parentId])) {
    answer(turn, agentId, "refused");
    return false;
  }
  putAgent(turn, {
    id: agentId,
    parentId,
    vmId,
    spawnSecrets,
    phase: "starting",
    killRequested: false,
    desired: undefined,
    applied: undefined,
    released: undefined,
  });
  return true;
}

/** The whole tree at once, its rows locked `for update`: no child slips in below it. */
export function onKill(turn: RotationTurn, { requestId, agentId }: Message<"kill">): void {
  const root = turn.db.agents[agentId];
  if (root === undefined) {
    answer(turn, requestId, "refused");
    return;
  }
  endTree(turn, [root, ...descendantsOf(agentId, Object.values(turn.db.agents))]);
  answer(turn, requestId, "accepted");
}

/** Asks for the end of those of the agents that live. */
export function endTree(turn: RotationTurn, agents: readonly AgentRow[]): void {
  const living = agents.filter((agent) => !isEnding(agent));
  for (const agent of living) {
    putAgent(turn, { ...agent, killRequested: true });
    settleTargets(turn, agent.id, "skipped");
  }
  announce(
    turn,
    living.map(({ vmId }) => vmId),
  );
}

export function onRevoke(turn: RotationTurn, message: Message<"revoke-when-applied">): void {
  const { requestId: id, name, version, rolloutId } = message;
  if (!(id in turn.db.revocations)) {
    const revocation = { id, name, version, rolloutId, ended: false };
    turn.db = { ...turn.db, revocations: { ...turn.db.revocations, [id]: revocation } };
  }
  answer(turn, id, "accepted");
}
