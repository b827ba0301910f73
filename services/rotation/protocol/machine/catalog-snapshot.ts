import { nextGeneration } from "../generation";
import { currentPins } from "../snapshot";
import type { CatalogTurn } from "./catalog";
import type { SnapshotRefusal, ToCatalog } from "./messages";
import type {
  CatalogState,
  GenerationRow,
  Snapshot,
  SnapshotAnswer,
  SnapshotOf,
  SnapshotTransaction,
} from "./world";

type Message<K extends ToCatalog["kind"]> = Extract<ToCatalog, { kind: K }>;

const NEW_ROW: GenerationRow = {
  last: 0,
  floor: undefined,
  confirmedThrough: undefined,
  ended: false,
  snapshots: {},
};

export function rowOf(state: CatalogState, agentId: string): GenerationRow {
  return state.agents[agentId] ?? NEW_ROW;
}

/** Opens a transaction, unless the request was answered before or is under way. */
export function requestSnapshot(turn: CatalogTurn, message: Message<"snapshot">): void {
  const { requestId, replyTo, agents } = message;
  const before = turn.state.answers[requestId];
  if (before !== undefined) {
    reply(turn, message, before);
  } else if (!turn.state.transactions.some((each) => each.requestId === requestId)) {
    const opened = { requestId, replyTo, agents, stepsDone: 0, numbers: {}, read: undefined };
    turn.state = { ...turn.state, transactions: [...turn.state.transactions, opened] };
  }
}

/** Takes one transaction a step on: some row locks, the reading of versions, or the commit. */
export function advance(turn: CatalogTurn, { requestId, locks }: Message<"advance">): void {
  const transaction = turn.state.transactions.find((each) => each.requestId === requestId);
  if (transaction === undefined) return;
  const step = turn.rules.snapshotSteps[transaction.stepsDone];
  if (step === "lock") lockRows(turn, transaction, locks);
  else if (step === "read") readVersions(turn, transaction);
  else commit(turn, transaction);
}

function lockRows(turn: CatalogTurn, transaction: SnapshotTransaction, locks: number): void {
  const others = turn.state.transactions.filter((each) => each !== transaction);
  const order = turn.rules.lockOrder(transaction.agents.map(({ agentId }) => agentId));
  const numbers: Record<string, number> = { ...transaction.numbers };
  const missing = order.filter((agentId) => !(agentId in numbers)).slice(0, locks);
  for (const agentId of missing) {
    if (others.some((each) => agentId in each.numbers)) break;
    numbers[agentId] = nextGeneration(rowOf(turn.state, agentId).last);
  }
  const done = order.every((agentId) => agentId in numbers);
  const stepsDone = transaction.stepsDone + (done ? 1 : 0);
  replace(turn, transaction, { ...transaction, numbers, stepsDone });
}

function readVersions(turn: CatalogTurn, transaction: SnapshotTransaction): void {
  const read: Record<string, { pins: Snapshot["pins"]; notRolledBack: readonly string[] }> = {};
  for (const agent of transaction.agents) {
    const reason = refusal(turn.state, agent);
    if (reason !== undefined) {
      refuse(turn, transaction, agent.agentId, reason);
      return;
    }
    read[agent.agentId] = pinsFor(turn, agent);
  }
  replace(turn, transaction, { ...transaction, read, stepsDone: transaction.stepsDone + 1 });
}

function refusal(state: CatalogState, agent: SnapshotOf): SnapshotRefusal | undefined {
  const row = rowOf(state, agent.agentId);
  if (row.ended) return "agent-ended";
  const { rollbackTo } = agent;
  if (rollbackTo !== undefined && !(rollbackTo in row.snapshots)) return "nothing-to-roll-back";
  const expired = agent.expectsSpawnSecrets && !(agent.agentId in state.spawnSecrets);
  return expired ? "spawn-secrets-expired" : undefined;
}

function pinsFor(
  turn: CatalogTurn,
  { agentId, rollbackTo }: SnapshotOf,
): { pins: Snapshot["pins"]; notRolledBack: readonly string[] } {
  const { secrets } = turn.state;
  const old =
    rollbackTo === undefined ? undefined : rowOf(turn.state, agentId).snapshots[rollbackTo];
  return old === undefined
    ? { pins: currentPins(secrets), notRolledBack: [] }
    : turn.rules.rollbackPins(old.pins, secrets);
}

function commit(turn: CatalogTurn, transaction: SnapshotTransaction): void {
  const agents = { ...turn.state.agents };
  const spawnSecrets = { ...turn.state.spawnSecrets };
  const notRolledBack = new Set<string>();
  for (const { agentId, rollbackTo } of transaction.agents) {
    const row = rowOf(turn.state, agentId);
    const generation = transaction.numbers[agentId] ?? 0;
    const taken = transaction.read?.[agentId];
    const lease = spawnSecrets[agentId];
    // The agent's row was committed before its snapshot was asked for: the secrets have an owner.
    if (lease !== undefined) spawnSecrets[agentId] = { ...lease, confirmed: true };
    for (const name of taken?.notRolledBack ?? []) notRolledBack.add(name);
    const snapshot: Snapshot = {
      generation,
      takenAtMs: turn.atMs,
      pins: taken?.pins ?? {},
      rollback: rollbackTo !== undefined,
      spawnSecrets: lease !== undefined,
    };
    const snapshots = { ...row.snapshots, [generation]: snapshot };
    agents[agentId] = { ...row, last: generation, snapshots };
  }
  const answer = { generations: transaction.numbers, notRolledBack: [...notRolledBack].sort() };
  const answers = { ...turn.state.answers, [transaction.requestId]: answer };
  turn.state = { ...turn.state, agents, spawnSecrets, answers };
  replace(turn, transaction, undefined);
  reply(turn, transaction, answer);
}

function refuse(
  turn: CatalogTurn,
  transaction: SnapshotTransaction,
  agentId: string,
  reason: SnapshotRefusal,
): void {
  replace(turn, transaction, undefined);
  const { replyTo, requestId: operationId } = transaction;
  turn.effects.push({
    to: "replica",
    id: replyTo,
    message: { kind: "snapshot-refused", operationId, agentId, reason },
  });
}

function reply(
  turn: CatalogTurn,
  { replyTo, requestId }: { replyTo: string; requestId: string },
  answer: SnapshotAnswer,
): void {
  const message = { kind: "snapshot-taken", operationId: requestId, ...answer } as const;
  turn.effects.push({ to: "replica", id: replyTo, message });
}

function replace(
  turn: CatalogTurn,
  old: SnapshotTransaction,
  by: SnapshotTransaction | undefined,
): void {
  const others = turn.state.transactions.filter((each) => each !== old);
  const transactions = by === undefined ? others : [...others, by];
  turn.state = { ...turn.state, transactions };
}
