import { isEnding } from "../phase";
import { rolloutState } from "../rollout";
import type { ToReplica } from "./messages";
import type { RotationTurn } from "./rotation-turn";
import { tellVm } from "./rotation-announce";
import { askForSnapshot, startFirstSnapshot } from "./rotation-operations";
import type { AgentRow, Release, Rollout } from "./world";

type Message<K extends ToReplica["kind"]> = Extract<ToReplica, { kind: K }>;

/** Reads the outbox on, and tells the VMs whose streams are here. */
export function onTail(turn: RotationTurn, _message: Message<"tail">): void {
  const fresh = turn.db.outbox.slice(turn.memory.cursor);
  turn.memory = { ...turn.memory, cursor: turn.db.outbox.length };
  for (const vmId of new Set(fresh.map((row) => row.vmId))) tellVm(turn, vmId, false);
}

/** Everything that a lost message may have left undone, by level: asked again until it is true. */
export function onSweep(turn: RotationTurn, _message: Message<"sweep">): void {
  for (const [id, operation] of Object.entries(turn.memory.operations)) {
    askForSnapshot(turn, id, operation);
  }
  const agents = Object.values(turn.db.agents);
  for (const agent of agents) {
    if (agent.desired === undefined && !isEnding(agent)) startFirstSnapshot(turn, agent);
  }
  const rollouts = Object.values(turn.db.rollouts).map(({ targets }) => ({
    targets,
    rolloutOpen: rolloutState(Object.values(targets)) === "open",
  }));
  const releases: Record<string, Release> = {};
  for (const agent of agents) {
    const release = releaseOf(turn, agent, rollouts);
    if (!sameRelease(release, agent.released)) releases[agent.id] = release;
  }
  if (Object.keys(releases).length > 0) {
    const message = { kind: "release", replyTo: turn.replicaId, releases } as const;
    turn.effects.push({ to: "catalog", message });
  }
  endVersions(turn);
}

function releaseOf(
  turn: RotationTurn,
  agent: AgentRow,
  rollouts: readonly { targets: Rollout["targets"]; rolloutOpen: boolean }[],
): Release {
  const candidates = rollouts.flatMap(({ targets, rolloutOpen }) => {
    const target = targets[agent.id];
    return target === undefined ? [] : [{ ...target, rolloutOpen }];
  });
  const { desired, applied } = agent;
  const rollbackSources = turn.rules.openRollbackSources(candidates);
  const floor = turn.rules.releaseFloor({ desired, applied, rollbackSources });
  return { floor, confirmed: desired, ended: isEnding(agent) };
}

function sameRelease(a: Release, b: Release | undefined): boolean {
  if (b === undefined) return false;
  return a.floor === b.floor && a.confirmed === b.confirmed && a.ended === b.ended;
}

/** Old versions that wait for their evidence: the catalog ends one when nobody holds it. */
function endVersions(turn: RotationTurn): void {
  for (const { id, name, version, rolloutId, ended } of Object.values(turn.db.revocations)) {
    const rollout = turn.db.rollouts[rolloutId];
    const converged = rollout && rolloutState(Object.values(rollout.targets)) === "completed";
    if (ended || converged !== true) continue;
    const living = Object.fromEntries(
      Object.values(turn.db.agents)
        .filter((agent) => !isEnding(agent))
        .map(({ id, applied, desired }) => [id, { applied, desired }]),
    );
    const replyTo = turn.replicaId;
    turn.effects.push({
      to: "catalog",
      message: { kind: "end-version", replyTo, id, name, version, living },
    });
  }
}
