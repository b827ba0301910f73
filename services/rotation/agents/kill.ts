import type { Principal } from "../../../lib/identity/principal";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Announcer } from "../announce/announcer";
import { writeAudit, type Caller } from "../audit";
import { isTerminal } from "../protocol";
import type { RolloutSignals } from "../rollouts/rollout-signals";
import type { EvidenceStore } from "../vm-sync/store/evidence-store";
import { agentEnded, agentNotFound } from "./domain/agent-errors";
import { assertManages } from "./domain/authority";
import { skippedReason, type Agent, type LaunchableAgent } from "./domain/agent";
import type { AgentStore, AgentTree, AgentWriter } from "./store/agent-store";

export interface KillDeps {
  pool: Pool;
  agents: Pick<AgentStore, "findTree">;
  writer: AgentWriter;
  evidence: Pick<EvidenceStore, "skipTargets">;
  announcer: Pick<Announcer, "record" | "deliver">;
  signals: Pick<RolloutSignals, "changed">;
}

export interface KillRequest {
  workspace: string;
  path: string;
  /** The agent on whose behalf a VM calls; empty for developers. */
  callerAgentId: string;
}

/**
 * Asks for the end of an agent and of all below it. Durable when it returns; the VMs carry it out.
 * What no VM has heard of yet is over at once. Returns those whose end was asked for, by path.
 */
export async function killAgent(
  deps: KillDeps,
  principal: Principal,
  caller: Caller,
  request: KillRequest,
): Promise<Agent[]> {
  const { workspace, path } = request;
  const tree = await deps.agents.findTree(principal.tenantId, workspace, path);
  if (!tree || !mayKnow(principal, tree.agent, request)) throw agentNotFound(path, workspace);
  if (principal.kind === "developer") assertManages(principal, tree.agent);
  assertSomeLiving(tree, path);
  const done = await withTransactionRetry(deps.pool, (tx) => kill(deps, tx, caller, tree));
  deps.announcer.deliver(done.announcements);
  for (const rollout of done.rollouts) deps.signals.changed(rollout);
  return done.killed;
}

/**
 * Asks for the end of whole trees, by their roots; returns of how many agents. Whose wish it is, is the
 * caller's to check.
 */
export async function killTrees(
  deps: Omit<KillDeps, "agents"> & { agents: Pick<AgentStore, "findAll"> },
  caller: Caller,
  rootIds: readonly string[],
): Promise<number> {
  let killed = 0;
  const roots = await deps.agents.findAll(caller.tenantId, rootIds);
  for (const agent of roots) {
    const done = await withTransactionRetry(deps.pool, (tx) => kill(deps, tx, caller, { agent }));
    deps.announcer.deliver(done.announcements);
    for (const rollout of done.rollouts) deps.signals.changed(rollout);
    killed += done.killed.length;
  }
  return killed;
}

/** A VM may end descendants of the calling agent only, and only on itself. */
function mayKnow(principal: Principal, agent: Agent, request: KillRequest): boolean {
  if (principal.kind !== "vm") return true;
  return agent.vmId === principal.id && agent.ancestorIds.includes(request.callerAgentId);
}

function assertSomeLiving({ agent, descendants }: AgentTree, path: string): void {
  if ([agent, ...descendants].every((it) => isTerminal(it.phase))) throw agentEnded(path, agent);
}

async function kill(
  deps: Omit<KillDeps, "agents">,
  tx: Tx,
  caller: Caller,
  { agent }: Pick<AgentTree, "agent">,
) {
  const { writer } = deps;
  await writer.lockTree(tx, agent.tenantId, agent.rootId, "update");
  const locked = await writer.lockSubtree(tx, agent);
  const living = locked.filter((it) => !isTerminal(it.phase)).map(({ id }) => id);
  const killed = await writer.requestKill(tx, agent.tenantId, living);
  const unheard = killed.filter((it) => it.desired === 0n);
  await writer.end(tx, unheard.map(toCancelled));
  const rollouts = await deps.evidence.skipTargets(
    tx,
    killed.map((it) => ({ tenantId: it.tenantId, id: it.id, reason: skippedReason(it) })),
  );
  const heard = killed.filter((it) => it.desired > 0n);
  const announcements = await deps.announcer.record(tx, agent.id, heard);
  const entry = { action: "agent.kill", objectKind: "agent", objectId: agent.id };
  await writeAudit(tx, caller, [{ ...entry, outcome: "ok", detail: { agents: killed.length } }]);
  return { killed, rollouts, announcements };
}

function toCancelled({ tenantId, id }: LaunchableAgent) {
  const exit = { kind: "unknown" as const, value: "it was not started" };
  return { tenantId, id, phase: "cancelled" as const, exit };
}
