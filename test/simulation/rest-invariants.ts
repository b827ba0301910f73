import type { World } from "../../services/rotation/protocol/machine/world";
import { neededGenerations } from "./catalog-invariants";
import type { History } from "./observer";
import { isCompleted, isOver, livingTree } from "./rotation-invariants";

/** Everything that is not as it should be once faults have stopped and all is quiet. */
export function unrest(world: World, history: History, unanswered: readonly string[]): string[] {
  return [
    ...unanswered.map((id) => `${id} was never answered`),
    ...processes(world),
    ...agents(world),
    ...rollouts(world, history),
    ...snapshots(world, history),
    ...spawnSecrets(world),
    ...revocations(world, history),
  ];
}

function processes({ catalog, replicas }: World): string[] {
  const stuck = catalog.transactions.map(({ requestId }) => `snapshot ${requestId} is stuck`);
  const waiting = Object.values(replicas).flatMap(({ operations }) =>
    Object.keys(operations).map((id) => `operation ${id} is not over`),
  );
  return [...stuck, ...waiting];
}

/** Every living agent is on its desired generation, every other one has nothing left. */
function agents(world: World): string[] {
  const living = Object.values(world.rotation.agents).flatMap((agent) => {
    const { id, vmId, desired, applied, phase } = agent;
    const stands = world.vms[vmId]?.files[id]?.generation;
    if (isOver(world, id)) {
      const left = stands === undefined ? [] : [`files of ${id}, which is over, are left`];
      const ended = ["completed", "failed", "cancelled"].includes(phase);
      return ended ? left : [...left, `${id} was killed and is still ${phase}`];
    }
    const right = desired !== undefined && stands === desired && applied === desired;
    const where = `files ${stands ?? "none"}, believed ${applied ?? "none"}`;
    return right && phase !== "starting"
      ? []
      : [`${id} is ${phase}, should be on ${desired ?? "any"}: ${where}`];
  });
  const strays = Object.entries(world.vms).flatMap(([vmId, { files }]) =>
    Object.keys(files)
      .filter((id) => world.rotation.agents[id]?.vmId !== vmId)
      .map((id) => `files of ${id} are on ${vmId}`),
  );
  return [...living, ...strays];
}

/** Rollouts are complete, and nobody in their tree is on a version from before they were asked. */
function rollouts(world: World, { promised, rollbacks }: History): string[] {
  return Object.values(world.rotation.rollouts).flatMap((rollout) => {
    if (!isCompleted(rollout)) return [`${rollout.id} is not completed`];
    const promise = Object.entries(promised.get(rollout.id) ?? {});
    return livingTree(world, rollout.rootIds).flatMap((agent) => {
      const files = world.vms[agent.vmId]?.files[agent.id];
      if (files === undefined || rollbacks.has(`${agent.id} ${files.generation}`)) return [];
      return promise.flatMap(([name, version]) => {
        const has = files.pins[name];
        const old = has !== undefined && has < version;
        return old ? [`${rollout.id} missed ${agent.id}: it has ${name}@${has}`] : [];
      });
    });
  });
}

/**
 * Kept are what living agents need, what lies between, and nothing else. What expired before it
 * could be confirmed is made anew when somebody asks for it.
 */
function snapshots(world: World, { expired }: History): string[] {
  return Object.entries(world.catalog.agents).flatMap(([agentId, row]) => {
    const kept = Object.keys(row.snapshots).map(Number);
    const needed = isOver(world, agentId) ? [] : neededGenerations(world, agentId);
    const missing = needed.filter(
      (generation) => !kept.includes(generation) && !expired.has(`${agentId} ${generation}`),
    );
    const orphans = kept.filter(
      (generation) => generation < Math.min(...needed) || generation > Math.max(...needed),
    );
    return [
      ...missing.map((generation) => `generation ${generation} of ${agentId} is missing`),
      ...orphans.map((generation) => `generation ${generation} of ${agentId} is an orphan`),
    ];
  });
}

function spawnSecrets(world: World): string[] {
  return Object.keys(world.catalog.spawnSecrets)
    .filter((agentId) => isOver(world, agentId))
    .map((agentId) => `spawn-time secrets of ${agentId} are orphans`);
}

/**
 * A version that should end has ended, or somebody lives who uses it, or of whom it cannot be told
 * because the snapshot that stands on its files expired before it was confirmed.
 */
function revocations(world: World, { expired }: History): string[] {
  const files = Object.values(world.vms).flatMap((vm) => Object.entries(vm.files));
  if (files.some(([agentId, { generation }]) => expired.has(`${agentId} ${generation}`))) return [];
  return Object.values(world.rotation.revocations)
    .filter(({ ended }) => !ended)
    .filter(({ name, version }) => !files.some(([, { pins }]) => pins[name] === version))
    .map(({ name, version }) => `${name}@${version} is used by nobody and did not end`);
}
