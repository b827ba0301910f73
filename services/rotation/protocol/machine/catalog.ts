import type { Whereabouts } from "../holders";
import { isVersionAlive } from "../snapshot";
import { advance, requestSnapshot, rowOf } from "./catalog-snapshot";
import type { Effect, ToCatalog } from "./messages";
import type { Rules } from "./rules";
import type { CatalogState, GenerationRow, Release } from "./world";

/** One event at the catalog: the state is replaced, never changed in place. */
export interface CatalogTurn {
  readonly rules: Rules;
  readonly atMs: number;
  readonly effects: Effect[];
  state: CatalogState;
}

type Handlers = {
  [K in ToCatalog["kind"]]: (turn: CatalogTurn, message: Extract<ToCatalog, { kind: K }>) => void;
};

/** What the catalog does on each message. */
export const catalogHandlers: Handlers = {
  "set-secret": (turn, { name }) => {
    const secret = turn.state.secrets[name] ?? {
      current: undefined,
      deletedThrough: 0,
      revoked: [],
    };
    const latest = Math.max(secret.current ?? 0, secret.deletedThrough);
    setSecret(turn, name, { ...secret, current: latest + 1 });
  },
  "delete-secret": (turn, { name }) => {
    const secret = turn.state.secrets[name];
    if (secret?.current === undefined) return;
    setSecret(turn, name, { ...secret, current: undefined, deletedThrough: secret.current });
  },
  "store-spawn-secrets": (turn, { agentId }) => {
    const row = turn.state.agents[agentId];
    const late = row !== undefined && (row.ended || row.last > 0);
    if (!late) {
      const given = { givenAtMs: turn.atMs, confirmed: false };
      setSpawnSecrets(turn, { ...turn.state.spawnSecrets, [agentId]: given });
    }
    const outcome = late ? "refused" : "stored";
    turn.effects.push({ to: "client", message: { kind: "answer", requestId: agentId, outcome } });
  },
  snapshot: requestSnapshot,
  advance,
  release: (turn, { replyTo, releases }) => {
    const done: Record<string, Release> = {};
    for (const [agentId, release] of Object.entries(releases)) {
      // A locked row makes a release wait; here it is dropped, and rotation sends it again.
      if (turn.state.transactions.some((each) => agentId in each.numbers)) continue;
      applyRelease(turn, agentId, release);
      done[agentId] = release;
    }
    turn.effects.push({
      to: "replica",
      id: replyTo,
      message: { kind: "released", releases: done },
    });
  },
  fetch: (turn, { vmId, incarnation, agentId, generation }) => {
    const row = turn.state.agents[agentId];
    const snapshot = row?.snapshots[generation];
    const readable = snapshot !== undefined && !holdsRevoked(turn.state, snapshot.pins);
    const verdict = turn.rules.fetchVerdict(generation, { floor: row?.floor, readable });
    const message =
      verdict === "deliver" && snapshot !== undefined
        ? ({ kind: "set", incarnation, agentId, generation, pins: snapshot.pins } as const)
        : ({
            kind: "fetch-refused",
            incarnation,
            agentId,
            generation,
            verdict: verdict === "deliver" ? "gone" : verdict,
          } as const);
    turn.effects.push({ to: "vm", id: vmId, message });
  },
  "end-version": (turn, { replyTo, id, name, version, living }) => {
    const secret = turn.state.secrets[name];
    if (secret === undefined) return;
    if (isVersionAlive(secret, version)) {
      if (!turn.rules.mayEndVersion(holders(turn, { name, version, living }))) return;
      setSecret(turn, name, { ...secret, revoked: [...secret.revoked, version] });
    }
    turn.effects.push({ to: "replica", id: replyTo, message: { kind: "version-ended", id } });
  },
  expire: (turn) => {
    for (const [agentId, row] of Object.entries(turn.state.agents)) {
      const kept = Object.values(row.snapshots).filter(
        (each) => !turn.rules.isSnapshotExpired(each, row.confirmedThrough, turn.atMs),
      );
      keepSnapshots(turn, agentId, row, kept);
    }
    const { spawnSecrets, transactions } = turn.state;
    const waiting = Object.entries(spawnSecrets).filter(
      ([agentId, lease]) =>
        !turn.rules.isSpawnLeaseOver(lease, turn.atMs) ||
        transactions.some((each) => agentId in each.numbers),
    );
    if (waiting.length < Object.keys(spawnSecrets).length) {
      setSpawnSecrets(turn, Object.fromEntries(waiting));
    }
  },
  crash: (turn) => {
    turn.state = { ...turn.state, transactions: [] };
  },
};

function applyRelease(turn: CatalogTurn, agentId: string, release: Release): void {
  const row = rowOf(turn.state, agentId);
  const floor =
    release.floor === undefined ? row.floor : turn.rules.raiseFloor(row.floor, release.floor);
  const confirmedThrough =
    release.confirmed === undefined
      ? row.confirmedThrough
      : turn.rules.raiseFloor(row.confirmedThrough, release.confirmed);
  const ended = row.ended || release.ended;
  const next = { ...row, floor, confirmedThrough, ended };
  turn.state = { ...turn.state, agents: { ...turn.state.agents, [agentId]: next } };
  const needed = (generation: number): boolean =>
    !ended && (floor === undefined || generation >= floor);
  const kept = Object.values(next.snapshots).filter(({ generation }) => needed(generation));
  keepSnapshots(turn, agentId, next, kept);
  if (ended && agentId in turn.state.spawnSecrets) {
    const { [agentId]: _gone, ...rest } = turn.state.spawnSecrets;
    setSpawnSecrets(turn, rest);
  }
}

function keepSnapshots(
  turn: CatalogTurn,
  agentId: string,
  row: GenerationRow,
  kept: GenerationRow["snapshots"][number][],
): void {
  if (kept.length === Object.keys(row.snapshots).length) return;
  const snapshots = Object.fromEntries(kept.map((each) => [each.generation, each]));
  const agents = { ...turn.state.agents, [agentId]: { ...row, snapshots } };
  turn.state = { ...turn.state, agents };
}

function holders(
  turn: CatalogTurn,
  of: {
    name: string;
    version: number;
    living: Readonly<Record<string, Whereabouts>>;
  },
): string[] {
  const holds = (pins: Readonly<Record<string, number>>): boolean => pins[of.name] === of.version;
  const stored = Object.entries(turn.state.agents).flatMap(([agentId, row]) =>
    Object.values(row.snapshots).map(({ generation, pins }) => ({
      agentId,
      generation,
      holds: holds(pins),
    })),
  );
  const beingTaken = turn.state.transactions.flatMap(({ read }) =>
    Object.entries(read ?? {}).map(([agentId, { pins }]) => ({
      agentId,
      generation: undefined,
      holds: holds(pins),
    })),
  );
  return turn.rules.holdersOf([...stored, ...beingTaken], of.living);
}

function holdsRevoked({ secrets }: CatalogState, pins: Readonly<Record<string, number>>): boolean {
  return Object.entries(pins).some(
    ([name, version]) => secrets[name]?.revoked.includes(version) ?? false,
  );
}

function setSecret(turn: CatalogTurn, name: string, secret: CatalogState["secrets"][string]): void {
  turn.state = { ...turn.state, secrets: { ...turn.state.secrets, [name]: secret } };
}

function setSpawnSecrets(turn: CatalogTurn, spawnSecrets: CatalogState["spawnSecrets"]): void {
  turn.state = { ...turn.state, spawnSecrets };
}
