import type { Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Pool } from "../../../lib/postgres/db";
import type { Announcer, Coming } from "../announce/announcer";
import { announce, type LocalAnnouncement } from "../announce/announcement";
import { leftOutEntry } from "../agents/changed-records";
import type { Agent, LaunchableAgent } from "../agents/domain/agent";
import type { AgentHealthCheck } from "../agents/domain/agent-health";
import type { AgentWriter } from "../agents/store/agent-store";
import type { AuditEntry, Caller } from "../audit";
import { joinsOpenRollouts } from "../protocol";
import { planRekey, type RekeyPlan, type Snapshot } from "./domain/plan-rekey";
import { assertSameRequest } from "./rollout-request";
import type { Snapshots } from "./snapshot-agents";
import type { CanaryStore } from "./store/canary-store";
import type { NewRollout, RolloutStore } from "./store/rollout-store";

export interface OpenRolloutDeps {
  pool: Pool;
  rollouts: Pick<RolloutStore, "requestHash" | "open" | "lockOpenOf" | "recordGeneration">;
  canaries: Pick<CanaryStore, "insert">;
  writer: Pick<AgentWriter, "setHealthChecks">;
  announcer: Pick<Announcer, "foretell" | "deliver">;
}

/** A rollout whose snapshots are taken. */
export interface Opening extends Snapshots {
  caller: Caller;
  rollout: NewRollout;
  requestId: string;
  /** As they were when the snapshots were taken. */
  agents: readonly Agent[];
  /** Locks trees, then agents, and returns those that the rollout is for, as they are now. */
  lock: (tx: Tx) => Promise<LaunchableAgent[]>;
  /** Why one is left out as it is now, snapshot or not; undefined: it is not. */
  leaveOut?: ((agent: LaunchableAgent) => string | undefined) | undefined;
  /** What the VMs of canaries are to run when they are on their generation. */
  checkOf?: ((agent: LaunchableAgent) => AgentHealthCheck) | undefined;
}

const ACTIONS = { rekey: "agent.rekey", rollback: "rollout.rollback" } as const;

/**
 * Writes a rollout in one transaction and hands it to the streams of this replica. One that is
 * there already stands; throws REQUEST_ID_REUSED when another request made it.
 */
export async function openRollout(deps: OpenRolloutDeps, opening: Opening): Promise<void> {
  const { rollout, requestId } = opening;
  deps.announcer.foretell(comingGenerations(opening));
  const announcements = await withTransactionRetry(deps.pool, (tx) => open(deps, tx, opening));
  if (announcements) {
    deps.announcer.deliver(announcements);
    return;
  }
  const stored = await deps.rollouts.requestHash(rollout.tenantId, rollout.id);
  if (stored) assertSameRequest(stored, rollout.requestHash, requestId);
}

/** What the VMs of these agents are told before it is theirs. */
export function comingGenerations({
  agents,
  snapshots,
}: Pick<Opening, "agents" | "snapshots">): Coming[] {
  const byId = new Map(agents.map((agent) => [agent.id, agent]));
  return snapshots.flatMap(({ agentId, generation, sealedAhead }) => {
    const agent = byId.get(agentId);
    if (!agent) return [];
    const { tenantId, vmId } = agent;
    return [{ tenantId, vmId, agentId, generation, sealedAhead }];
  });
}

/** Undefined when the rollout is there already. */
async function open(
  { rollouts, canaries, writer }: OpenRolloutDeps,
  tx: Tx,
  opening: Opening,
): Promise<readonly LocalAnnouncement[] | undefined> {
  const { caller, rollout, lock, checkOf } = opening;
  const locked = await lock(tx);
  const { snapshots, leftOut } = withoutLate(opening, locked);
  const planned = planRekey(locked, new Map(snapshots.map((it) => [it.agentId, it])), leftOut);
  const plan = checkOf
    ? { ...planned, raised: planned.raised.map((it) => ({ ...it, healthCheck: checkOf(it) })) }
    : planned;
  const announcements = announce(rollout.id, plan.raised);
  const audit = [auditEntry(rollout, plan), ...[...leftOut].map(toLeftOutEntry)];
  if (!(await rollouts.open(tx, rollout, plan, { caller, audit, announcements }))) return undefined;
  if (rollout.canary) {
    const ref = { tenantId: rollout.tenantId, rolloutId: rollout.id };
    await canaries.insert(tx, ref, rollout.canary);
    await writer.setHealthChecks(tx, plan.raised);
  }
  await joinAbove(rollouts, tx, plan, snapshots);
  return announcements;
}

/** Something may have become of an agent since its snapshot was taken. */
function withoutLate(
  { snapshots, leftOut, leaveOut }: Opening,
  locked: readonly LaunchableAgent[],
): Snapshots {
  if (!leaveOut) return { snapshots, leftOut };
  const all = new Map(leftOut);
  for (const agent of locked) {
    const why = leaveOut(agent);
    if (why !== undefined) all.set(agent.id, why);
  }
  return { snapshots: snapshots.filter(({ agentId }) => !all.has(agentId)), leftOut: all };
}

function auditEntry(
  { id, subject, kind, rollsBack, canary }: NewRollout,
  { targets }: RekeyPlan,
): AuditEntry {
  return {
    action: ACTIONS[kind],
    objectKind: "rollout",
    objectId: id,
    outcome: "ok",
    detail: {
      ...(subject.agentId && { agent: subject.agentId }),
      ...(subject.secretName && { secret: subject.secretName }),
      targets: targets.length,
      ...(canary && { canaries: canary.agentIds.length, waiting: canary.waitingIds.length }),
      ...(rollsBack && { rollsBack }),
    },
  };
}

function toLeftOutEntry([agentId, reason]: [string, string]): AuditEntry {
  return leftOutEntry(agentId, reason);
}

/** A first generation lets its agent join what is open above it, whoever asked for it. */
export async function joinAbove(
  rollouts: Pick<RolloutStore, "lockOpenOf" | "recordGeneration">,
  tx: Tx,
  { targets }: RekeyPlan,
  snapshots: readonly Snapshot[],
): Promise<void> {
  for (const target of targets) {
    const { agent, state } = target;
    const snapshot = snapshots.find(({ agentId }) => agentId === agent.id);
    if (agent.desired > 0n || state === "skipped" || !snapshot) continue;
    const joined = joinsOpenRollouts(agent, await rollouts.lockOpenOf(tx, agent));
    if (joined.length === 0) continue;
    const rolloutIds = joined.map(({ id }) => id);
    await rollouts.recordGeneration(tx, { target, snapshot, rolloutIds });
  }
}
