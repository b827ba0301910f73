import type { AgentRow, Rollout, World } from "../../services/rotation/protocol/machine/world";
import type { History } from "./observer";
import { Violation } from "./violation";

const ENDS = ["completed", "failed", "cancelled"];

/** Whether an agent has ended or was told to; also one that rotation does not know. */
export function isOver(world: World, agentId: string): boolean {
  const agent = world.rotation.agents[agentId];
  return agent === undefined || agent.killRequested || ENDS.includes(agent.phase);
}

function isAtOrBelow(world: World, agent: AgentRow, rootIds: readonly string[]): boolean {
  let at: AgentRow | undefined = agent;
  while (at !== undefined && !rootIds.includes(at.id)) {
    at = at.parentId === undefined ? undefined : world.rotation.agents[at.parentId];
  }
  return at !== undefined;
}

/** The living agents at and below some. */
export function livingTree(world: World, rootIds: readonly string[]): AgentRow[] {
  return Object.values(world.rotation.agents).filter(
    (agent) => isAtOrBelow(world, agent, rootIds) && !isOver(world, agent.id),
  );
}

export function isCompleted(rollout: Rollout): boolean {
  return Object.values(rollout.targets).every(
    ({ state }) => state === "applied" || state === "skipped",
  );
}

/** Desired only rises, ends are final, and what rotation believes of VMs and targets is true. */
export function lookAtRotation(history: History, before: World, after: World): void {
  for (const agent of Object.values(after.rotation.agents)) {
    const was = before.rotation.agents[agent.id];
    if (was === agent) continue;
    if (was !== undefined) lookAtAgent(was, agent);
    if (was?.desired !== agent.desired) lookAtDesired(history, agent, after);
    lookAtBelief(after, agent);
  }
  lookForOrphans(before, after);
  for (const [vmId, { incarnation }] of Object.entries(after.rotation.vms)) {
    if (incarnation >= (before.rotation.vms[vmId]?.incarnation ?? 0)) continue;
    throw new Violation(`rotation listens to a life of ${vmId} that is over`);
  }
  for (const rollout of Object.values(after.rotation.rollouts)) {
    const was = before.rotation.rollouts[rollout.id];
    if (was !== rollout) lookAtRollout(history, was, rollout, after);
  }
}

function lookAtAgent(was: AgentRow, is: AgentRow): void {
  if (was.desired !== undefined && (is.desired ?? 0) < was.desired) {
    throw new Violation(`desired of ${is.id} fell from ${was.desired} to ${is.desired ?? "none"}`);
  }
  if (ENDS.includes(was.phase) && is.phase !== was.phase) {
    throw new Violation(`${is.id} left the phase ${was.phase} for ${is.phase}`);
  }
}

/** Whoever gets a generation gets all that was promised to its tree by a rekey before. */
function lookAtDesired(history: History, agent: AgentRow, world: World): void {
  const { id, desired = 0 } = agent;
  const snapshot = world.catalog.agents[id]?.snapshots[desired];
  if (snapshot === undefined || snapshot.rollback || isOver(world, id)) return;
  for (const rollout of Object.values(world.rotation.rollouts)) {
    if (!isAtOrBelow(world, agent, rollout.rootIds)) continue;
    for (const [name, version] of Object.entries(history.promised.get(rollout.id) ?? {})) {
      const has = snapshot.pins[name];
      if (has === undefined || has >= version) continue;
      throw new Violation(`${rollout.id} missed ${id}: it is to get ${name}@${has}`);
    }
  }
}

/** Of a VM whose present life has said hello, nothing is believed that is not on its files. */
function lookAtBelief(world: World, agent: AgentRow): void {
  const vm = world.vms[agent.vmId];
  if (vm === undefined || isOver(world, agent.id) || agent.id in vm.ended) return;
  if (world.rotation.vms[agent.vmId]?.incarnation !== vm.incarnation) return;
  const stands = vm.files[agent.id]?.generation ?? 0;
  if ((agent.applied ?? 0) > stands) {
    throw new Violation(
      `rotation believes ${agent.id} on ${agent.applied ?? 0}, its files are on ${stands}`,
    );
  }
}

/** A kill takes the whole tree: nobody lives below an agent that was killed. */
function lookForOrphans(before: World, after: World): void {
  if (before.rotation.agents === after.rotation.agents) return;
  for (const agent of Object.values(after.rotation.agents)) {
    if (agent.parentId === undefined || isOver(after, agent.id)) continue;
    if (after.rotation.agents[agent.parentId]?.killRequested === true) {
      throw new Violation(`${agent.id} lives below ${agent.parentId}, which was killed`);
    }
  }
}

function lookAtRollout(
  history: History,
  was: Rollout | undefined,
  is: Rollout,
  world: World,
): void {
  for (const { agentId, generation, state } of Object.values(is.targets)) {
    if (state !== "applied" || was?.targets[agentId]?.state === "applied") continue;
    const reached = history.reached.get(agentId) ?? 0;
    if (reached < generation) {
      throw new Violation(`${is.id} counts ${agentId} as on ${generation}, it was on ${reached}`);
    }
  }
  const wasCompleted = was !== undefined && isCompleted(was);
  if (!isCompleted(is) || wasCompleted) return;
  for (const agent of livingTree(world, is.rootIds)) {
    if (is.kind === "rekey" && agent.desired !== undefined && !(agent.id in is.targets)) {
      throw new Violation(`${is.id} was completed without ${agent.id}`);
    }
  }
}
