import { isEnding, isTerminal } from "../phase";
import type { WishedAgent } from "./messages";
import type { RotationTurn } from "./rotation-turn";
import type { AgentRow } from "./world";

/**
 * Part of the transaction that changes what VMs should have: a higher revision and an outbox row
 * for each; after the commit the streams of this replica are told at once.
 */
export function announce(turn: RotationTurn, vmIds: readonly string[]): void {
  const changed = [...new Set(vmIds)];
  if (changed.length === 0) return;
  raiseRevisions(turn, changed);
  turn.db = {
    ...turn.db,
    outbox: [...turn.db.outbox, ...changed.map((vmId) => ({ vmId }))],
  };
  for (const vmId of changed) tellVm(turn, vmId, false);
}

/**
 * Part of every transaction that changes a VM's desired state, also of one that the VM itself asked
 * for, as the end of an agent: what was sent before must be told from what is sent after.
 */
export function raiseRevisions(turn: RotationTurn, vmIds: readonly string[]): void {
  const vms = { ...turn.db.vms };
  for (const vmId of vmIds) {
    const row = vms[vmId] ?? { bootId: "", incarnation: 0, revision: 0 };
    vms[vmId] = { ...row, revision: row.revision + 1 };
  }
  turn.db = { ...turn.db, vms };
}

/** Sends a VM whose stream is here what it lacks, or (at hello) all that it should have. */
export function tellVm(turn: RotationTurn, vmId: string, complete: boolean): void {
  const incarnation = turn.memory.streams[vmId];
  if (incarnation === undefined) return;
  const all = Object.values(turn.db.agents).filter((each) => each.vmId === vmId);
  const wishes = all
    .filter((agent) => !isTerminal(agent.phase))
    .filter((agent) => agent.desired !== undefined || agent.killRequested)
    .map((agent) => wish(turn, agent));
  const agents = complete ? wishes : wishes.filter((each) => isNews(each));
  if (!complete && agents.length === 0) return;
  const revision = turn.db.vms[vmId]?.revision ?? 0;
  const { replicaId } = turn;
  turn.effects.push({
    to: "vm",
    id: vmId,
    message: { kind: "desired-state", replicaId, incarnation, revision, complete, agents },
  });
}

function wish(turn: RotationTurn, agent: AgentRow): WishedAgent {
  if (isEnding(agent)) return { agentId: agent.id, wish: "end", generation: undefined };
  const lacks = turn.rules.shouldFetch(agent.desired, agent.applied);
  return { agentId: agent.id, wish: "run", generation: lacks ? agent.desired : undefined };
}

function isNews({ wish, generation }: WishedAgent): boolean {
  return wish === "end" || generation !== undefined;
}
