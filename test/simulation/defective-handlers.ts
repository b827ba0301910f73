import { descendantsOf, isEnding } from "../../services/rotation/protocol";
import type { ToReplica } from "../../services/rotation/protocol/machine/messages";
import {
  rotationHandlers,
  type RotationHandlers,
} from "../../services/rotation/protocol/machine/rotation";
import { announce } from "../../services/rotation/protocol/machine/rotation-announce";
import { startOperation } from "../../services/rotation/protocol/machine/rotation-operations";
import { endTree, insertAgent } from "../../services/rotation/protocol/machine/rotation-requests";
import { answer, putAgent } from "../../services/rotation/protocol/machine/rotation-turn";

type Spawn = Extract<ToReplica, { kind: "spawn" }>;

/** A spawn that keeps its request in memory and inserts the row when the snapshot has come. */
export const spawnRowAfterSnapshot: Partial<RotationHandlers> = {
  spawn: (turn, message) => {
    const { agentId, spawnSecrets: expectsSpawnSecrets } = message;
    if (agentId in turn.db.agents) {
      rotationHandlers.spawn(turn, message);
      return;
    }
    const agents = [{ agentId, rollbackTo: undefined, expectsSpawnSecrets }];
    const operation = { kind: "first-snapshot", agentId, agents, rowFor: message } as const;
    startOperation(turn, operation);
  },
  "snapshot-taken": (turn, message) => {
    const operation = turn.memory.operations[message.operationId];
    if (operation !== undefined && "rowFor" in operation) {
      const spawn = operation.rowFor as Spawn;
      if (!(spawn.agentId in turn.db.agents)) insertAgent(turn, spawn);
    }
    rotationHandlers["snapshot-taken"](turn, message);
  },
};

/** A kill that reads the tree in one transaction and ends what it read in a later one. */
export const killWithoutLocks: Partial<RotationHandlers> = {
  kill: (turn, message) => {
    const agents = Object.values(turn.db.agents);
    if ("tree" in message) {
      const tree = message.tree as string[];
      const read = agents.filter(({ id }) => tree.includes(id));
      endTree(turn, read);
      answer(turn, message.requestId, "accepted");
      return;
    }
    const tree = [message.agentId, ...descendantsOf(message.agentId, agents).map(({ id }) => id)];
    const later = { ...message, tree };
    turn.effects.push({ to: "replica", id: turn.replicaId, message: later });
  },
};

/** A rollback that makes the old generation the desired one again. */
export const rollbackByPointingBack: Partial<RotationHandlers> = {
  rollback: (turn, { requestId, rolloutId }) => {
    for (const { agentId, source } of Object.values(turn.db.rollouts[rolloutId]?.targets ?? {})) {
      const agent = turn.db.agents[agentId];
      if (agent === undefined || source === undefined || isEnding(agent)) continue;
      putAgent(turn, { ...agent, desired: source });
      announce(turn, [agent.vmId]);
    }
    answer(turn, requestId, "accepted");
  },
};
