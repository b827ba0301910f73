import type { Event } from "../../services/rotation/protocol/machine/messages";
import type { SecretState } from "../../services/rotation/protocol";
import type {
  GenerationRow,
  Snapshot,
  SnapshotTransaction,
  World,
} from "../../services/rotation/protocol/machine/world";
import type { History } from "./observer";
import { isCompleted, isOver } from "./rotation-invariants";
import { Violation } from "./violation";

type CatalogEvent = Extract<Event, { to: "catalog" }>;

/** Snapshots hold what they should, go when they may, and a version ends when nobody has it. */
export function lookAtCatalog(
  history: History,
  before: World,
  event: CatalogEvent,
  after: World,
): void {
  if (before.catalog.agents !== after.catalog.agents) {
    for (const [agentId, row] of Object.entries(after.catalog.agents)) {
      const was = before.catalog.agents[agentId];
      if (was?.snapshots !== row.snapshots) {
        lookAtNew(history, agentId, was, row);
        if (was !== undefined) lookAtPruned(history, after, event, { agentId, was, is: row });
      }
    }
  }
  if (event.message.kind === "advance") {
    for (const each of after.catalog.transactions) lookAtRead(before, each, after);
  }
  if (event.message.kind === "end-version") lookAtEnded(event.message, before, after);
  if (before.catalog.spawnSecrets !== after.catalog.spawnSecrets) lookAtSecrets(before, after);
}

/** A later generation never holds an older version than an earlier one, but for a rollback. */
function lookAtNew(
  history: History,
  agentId: string,
  was: GenerationRow | undefined,
  is: GenerationRow,
): void {
  for (const snapshot of Object.values(is.snapshots)) {
    if (was?.snapshots[snapshot.generation] === snapshot) continue;
    if (was !== undefined && snapshot.generation <= was.last) {
      throw new Violation(`generation ${snapshot.generation} of ${agentId} was made twice`);
    }
    if (snapshot.rollback) history.rollbacks.add(`${agentId} ${snapshot.generation}`);
    const highest = history.pinned.get(agentId) ?? new Map<string, number>();
    for (const [name, version] of Object.entries(snapshot.pins)) {
      const before = highest.get(name) ?? 0;
      if (version < before && !snapshot.rollback) {
        throw new Violation(
          `generation ${snapshot.generation} of ${agentId} holds ${name}@${version}, ` +
            `an earlier one held ${name}@${before}`,
        );
      }
      highest.set(name, Math.max(version, before));
    }
    history.pinned.set(agentId, highest);
  }
}

/** What is read into a generation lives at that moment: nothing deleted or revoked comes back. */
function lookAtRead(before: World, transaction: SnapshotTransaction, after: World): void {
  const { requestId, read } = transaction;
  const was = before.catalog.transactions.find((each) => each.requestId === requestId);
  if (read === undefined || was?.read === read) return;
  for (const [agentId, { pins }] of Object.entries(read)) {
    for (const [name, version] of Object.entries(pins)) {
      if (isAlive(after.catalog.secrets[name], version)) continue;
      throw new Violation(`a new generation of ${agentId} brings ${name}@${version} back to life`);
    }
  }
}

function isAlive(secret: SecretState | undefined, version: number): boolean {
  if (secret?.current === undefined || secret.revoked.includes(version)) return false;
  return version > secret.deletedThrough;
}

/** What an agent should be on, is on, or may be rolled back to is not removed. */
function lookAtPruned(
  history: History,
  world: World,
  event: CatalogEvent,
  { agentId, was, is }: { agentId: string; was: GenerationRow; is: GenerationRow },
): void {
  for (const snapshot of Object.values(was.snapshots)) {
    if (snapshot.generation in is.snapshots || isOver(world, agentId)) continue;
    const { generation } = snapshot;
    if (event.message.kind === "expire") {
      const unconfirmed = generation > (was.confirmedThrough ?? 0);
      if (unconfirmed) history.expired.add(`${agentId} ${generation}`);
      if (unconfirmed && isOld(snapshot, event.atMs)) continue;
    } else if (!neededGenerations(world, agentId).includes(generation)) continue;
    throw new Violation(`generation ${generation} of ${agentId} was removed and is needed`);
  }
}

function isOld({ takenAtMs }: Snapshot, nowMs: number): boolean {
  return nowMs - takenAtMs >= 3_600_000;
}

/** What rotation's tables and the VM's files say is needed of a living agent. */
export function neededGenerations(world: World, agentId: string): number[] {
  const agent = world.rotation.agents[agentId];
  if (agent === undefined) return [];
  const needed = agent.desired === undefined ? [] : [agent.desired];
  const stands = world.vms[agent.vmId]?.files[agentId]?.generation;
  if (stands !== undefined) needed.push(stands);
  const mine = Object.values(world.rotation.rollouts).flatMap((rollout) => {
    const target = rollout.targets[agentId];
    return target === undefined ? [] : [{ ...target, open: !isCompleted(rollout) }];
  });
  const latest = Math.max(...mine.map(({ generation }) => generation));
  for (const { open, generation, source } of mine) {
    if (source !== undefined && (open || generation === latest)) needed.push(source);
  }
  return needed;
}

/** A version that is ended on evidence is on no living agent's files, and on its way to none. */
function lookAtEnded(
  { name, version }: { name: string; version: number },
  before: World,
  after: World,
): void {
  if (before.catalog.secrets === after.catalog.secrets) return;
  for (const { id, vmId, desired } of Object.values(after.rotation.agents)) {
    const vm = after.vms[vmId];
    if (isOver(after, id) || vm === undefined || id in vm.ended) continue;
    const files = vm.files[id];
    if (files?.pins[name] === version) {
      throw new Violation(`${name}@${version} was ended and ${id} still uses it`);
    }
    for (const { generation, pins } of Object.values(after.catalog.agents[id]?.snapshots ?? {})) {
      const comes = generation === desired || generation === vm.desired[id];
      if (!comes || generation <= (files?.generation ?? 0) || pins[name] !== version) continue;
      throw new Violation(`${name}@${version} was ended and ${id} may still get it`);
    }
  }
}

/** Spawn-time secrets that an agent was given stay as long as it lives. */
function lookAtSecrets(before: World, after: World): void {
  for (const agentId of Object.keys(before.catalog.spawnSecrets)) {
    if (agentId in after.catalog.spawnSecrets || isOver(after, agentId)) continue;
    const given = Object.values(after.catalog.agents[agentId]?.snapshots ?? {});
    if (!given.some(({ spawnSecrets }) => spawnSecrets)) continue;
    throw new Violation(`the spawn-time secrets of ${agentId}, which lives, were removed`);
  }
}
