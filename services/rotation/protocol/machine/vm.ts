import type { Effect, ToVm, WishedAgent } from "./messages";
import type { Rules } from "./rules";
import type { VmState } from "./world";

/** One event at one VM: the state is replaced, never changed in place. */
export interface VmTurn {
  readonly rules: Rules;
  readonly vmId: string;
  readonly effects: Effect[];
  state: VmState;
}

type Handlers = {
  [K in ToVm["kind"]]: (turn: VmTurn, message: Extract<ToVm, { kind: K }>) => void;
};

/** What a VM does on each message. */
export const vmHandlers: Handlers = {
  contact: (turn, { replicaId }) => {
    turn.state = { ...turn.state, replicaId };
    const { bootId, incarnation, ended } = turn.state;
    const applied = Object.fromEntries(
      Object.entries(turn.state.files).map(([id, { generation }]) => [id, generation]),
    );
    const message = {
      kind: "hello",
      vmId: turn.vmId,
      bootId,
      incarnation,
      applied,
      ended,
    } as const;
    turn.effects.push({ to: "replica", id: replicaId, message });
    for (const agentId of Object.keys(turn.state.desired)) fetchIfBehind(turn, agentId);
  },
  "desired-state": (turn, message) => {
    const { replicaId, incarnation, revisionSeen, completeRevisionSeen } = turn.state;
    // A stream that was left, or one of an earlier life, ended with its connection.
    if (message.replicaId !== replicaId || message.incarnation !== incarnation) return;
    if (turn.rules.isOvertaken(message, completeRevisionSeen)) return;
    const state = { ...message, agentIds: message.agents.map(({ agentId }) => agentId) };
    const known = Object.keys({
      ...turn.state.files,
      ...turn.state.ended,
      ...turn.state.desired,
    });
    for (const id of turn.rules.agentsToForget(known, state, revisionSeen)) forget(turn, id);
    turn.state = {
      ...turn.state,
      revisionSeen: Math.max(revisionSeen ?? 0, message.revision),
      completeRevisionSeen: message.complete ? message.revision : completeRevisionSeen,
    };
    for (const agent of message.agents) follow(turn, agent);
  },
  set: (turn, { incarnation, agentId, generation, pins }) => {
    const { files, desired, diskFull } = turn.state;
    // The set is sealed to a session of one life, and an agent that ended is wanted no more.
    if (incarnation !== turn.state.incarnation || !(agentId in desired)) return;
    if (!turn.rules.acceptsGeneration(files[agentId]?.generation, generation)) return;
    if (!diskFull) {
      turn.state = { ...turn.state, files: { ...files, [agentId]: { generation, pins } } };
    }
    ack(turn, agentId, generation, diskFull ? "failed" : "applied");
  },
  "fetch-refused": (turn, { incarnation, agentId, generation, verdict }) => {
    const { bootId } = turn.state;
    if (incarnation !== turn.state.incarnation || verdict !== "gone") return;
    if (!(agentId in turn.state.desired)) return;
    const { vmId } = turn;
    tell(turn, { kind: "gone", vmId, bootId, incarnation, agentId, generation });
  },
  exit: (turn, { agentId, phase }) => {
    if (agentId in turn.state.files) end(turn, agentId, phase);
  },
  disk: (turn, { full }) => {
    turn.state = { ...turn.state, diskFull: full };
  },
  crash: (turn) => {
    const { incarnation } = turn.state;
    turn.state = {
      ...turn.state,
      incarnation: incarnation + 1,
      replicaId: undefined,
      revisionSeen: undefined,
      completeRevisionSeen: undefined,
      desired: {},
    };
  },
  reboot: (turn) => {
    const { incarnation } = turn.state;
    const bootId = `${turn.vmId}-boot-${incarnation + 1}`;
    vmHandlers.crash(turn, { kind: "crash" });
    turn.state = { ...turn.state, bootId, files: {} };
  },
};

function follow(turn: VmTurn, { agentId, wish, generation }: WishedAgent): void {
  const { ended, desired } = turn.state;
  const over = ended[agentId];
  if (over !== undefined) report(turn, agentId, over);
  else if (wish === "end") end(turn, agentId, "cancelled");
  else if (generation !== undefined) {
    const raised = turn.rules.raiseDesired(desired[agentId], generation);
    turn.state = { ...turn.state, desired: { ...desired, [agentId]: raised } };
    fetchIfBehind(turn, agentId);
  }
}

/** Fetches what is desired, or says (again) that it stands: the ack may have been lost. */
function fetchIfBehind(turn: VmTurn, agentId: string): void {
  const desired = turn.state.desired[agentId];
  const applied = turn.state.files[agentId]?.generation;
  if (desired !== undefined && turn.rules.shouldFetch(desired, applied)) {
    const { incarnation } = turn.state;
    const message = { kind: "fetch", vmId: turn.vmId, incarnation, agentId, generation: desired };
    turn.effects.push({ to: "catalog", message: { ...message, kind: "fetch" } });
  } else if (applied !== undefined) {
    ack(turn, agentId, applied, "applied");
  }
}

function ack(
  turn: VmTurn,
  agentId: string,
  generation: number,
  outcome: "applied" | "failed",
): void {
  const { vmId } = turn;
  const { bootId, incarnation } = turn.state;
  tell(turn, { kind: "ack", vmId, bootId, incarnation, agentId, generation, outcome });
}

function end(turn: VmTurn, agentId: string, phase: VmState["ended"][string]): void {
  forget(turn, agentId);
  turn.state = { ...turn.state, ended: { ...turn.state.ended, [agentId]: phase } };
  report(turn, agentId, phase);
}

function report(turn: VmTurn, agentId: string, phase: VmState["ended"][string]): void {
  const { vmId } = turn;
  const { bootId, incarnation } = turn.state;
  tell(turn, { kind: "report", vmId, bootId, incarnation, agentId, phase });
}

function forget(turn: VmTurn, agentId: string): void {
  const { [agentId]: _files, ...files } = turn.state.files;
  const { [agentId]: _desired, ...desired } = turn.state.desired;
  const { [agentId]: _ended, ...ended } = turn.state.ended;
  turn.state = { ...turn.state, files, desired, ended };
}

type FromVm = Extract<Effect, { to: "replica" }>["message"];

function tell(turn: VmTurn, message: FromVm): void {
  const { replicaId } = turn.state;
  if (replicaId !== undefined) turn.effects.push({ to: "replica", id: replicaId, message });
}
