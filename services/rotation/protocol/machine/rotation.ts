import type { ToReplica } from "./messages";
import { onAck, onGone, onHello, onReport } from "./rotation-evidence";
import { onSnapshotRefused, onSnapshotTaken } from "./rotation-commit";
import { onKill, onRekey, onRevoke, onRollback, onSpawn } from "./rotation-requests";
import { putAgent, type RotationTurn } from "./rotation-turn";
import { onSweep, onTail } from "./rotation-upkeep";

export type RotationHandlers = {
  [K in ToReplica["kind"]]: (turn: RotationTurn, message: Extract<ToReplica, { kind: K }>) => void;
};

/** What a replica does on each message. */
export const rotationHandlers: RotationHandlers = {
  rekey: onRekey,
  rollback: onRollback,
  spawn: onSpawn,
  kill: onKill,
  "revoke-when-applied": onRevoke,
  "snapshot-taken": onSnapshotTaken,
  "snapshot-refused": onSnapshotRefused,
  released: (turn, { releases }) => {
    for (const [agentId, released] of Object.entries(releases)) {
      const agent = turn.db.agents[agentId];
      if (agent !== undefined) putAgent(turn, { ...agent, released });
    }
  },
  "version-ended": (turn, { id }) => {
    const revocation = turn.db.revocations[id];
    if (revocation === undefined || revocation.ended) return;
    const revocations = { ...turn.db.revocations, [id]: { ...revocation, ended: true } };
    turn.db = { ...turn.db, revocations };
  },
  hello: onHello,
  ack: onAck,
  report: onReport,
  gone: onGone,
  tail: onTail,
  sweep: onSweep,
  crash: (turn) => {
    const { starts } = turn.memory;
    // A new process reads the outbox from its present end: streams get the whole state at hello.
    turn.memory = {
      starts: starts + 1,
      operationsStarted: 0,
      cursor: turn.db.outbox.length,
      streams: {},
      operations: {},
    };
  },
};
