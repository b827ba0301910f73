import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { failedPrecondition, notFound, type AppError } from "../../../lib/errors";
import { quoted } from "../../../lib/quoted";
import type { Principal } from "../../../lib/identity/principal";
import { digestOf, type Agent } from "../agents/domain/agent";
import { assertManages } from "../agents/domain/authority";
import type { AgentStore, AgentWriter } from "../agents/store/agent-store";
import { isUuid } from "../agents/domain/spawn-request";
import type { Caller } from "../audit";
import { isEnding } from "../protocol";
import { missingNamesWarnings, notRolledBackWarnings } from "./domain/warnings";
import { openRollout, type OpenRolloutDeps } from "./open-rollout";
import {
  assertSameRequest,
  checkRequest,
  rolloutIdOf,
  type RolloutRequest,
} from "./rollout-request";
import {
  snapshotAgents,
  withRemovals,
  type SnapshotAgentsDeps,
  type Snapshots,
} from "./snapshot-agents";
import type { NewRollout, RolloutSources, RolloutStore } from "./store/rollout-store";

export interface RollbackDeps extends SnapshotAgentsDeps, OpenRolloutDeps {
  pool: OpenRolloutDeps["pool"];
  agents: Pick<AgentStore, "findAll">;
  writer: OpenRolloutDeps["writer"] & Pick<AgentWriter, "lockAgents">;
  rollouts: OpenRolloutDeps["rollouts"] & Pick<RolloutStore, "findSources">;
}

export interface RollbackRequest extends RolloutRequest {
  rolloutId: string;
}

/** What is to be taken back, and as which rollout. */
export interface TakeBack extends RollbackRequest {
  /** Of the new one; one that is there already stands. */
  id: string;
  /** Throws for agents that the caller may not change. */
  assertMay: (agent: Agent) => void;
  /** Leaves out agents that got a later generation than that of the rollout. */
  keepsLater: boolean;
}

const REKEYED = "it was rekeyed since";
const NOTHING = "it has no earlier generation that is kept";

/**
 * Gives each living target of a rollout a new generation with the pins that it had before, and
 * returns the id of the rollout that this is. A repeated request id returns the first one's.
 */
export async function rollbackRollout(
  deps: RollbackDeps,
  principal: Principal,
  caller: Caller,
  request: RollbackRequest,
): Promise<string> {
  checkRequest(request);
  return takeRolloutBack(deps, caller, {
    ...request,
    id: rolloutIdOf(caller.tenantId, request.requestId),
    assertMay: (agent) => {
      assertManages(principal, agent);
    },
    keepsLater: false,
  });
}

/** The same for whom `assertMay` lets, as a rollout of that id. */
export async function takeRolloutBack(
  deps: RollbackDeps,
  caller: Caller,
  request: TakeBack,
): Promise<string> {
  const { tenantId } = caller;
  const { id, requestId, reason, assertMay } = request;
  const rollsBack = request.rolloutId.toLowerCase();
  const requestHash = digestOf("rollback", rollsBack, reason, caller.id);
  const earlier = await deps.rollouts.requestHash(tenantId, id);
  if (earlier) {
    assertSameRequest(earlier, requestHash, requestId);
    return id;
  }
  const from = isUuid(rollsBack) && (await deps.rollouts.findSources(tenantId, rollsBack));
  if (!from) throw rolloutNotFound(request.rolloutId);
  const agents = await deps.agents.findAll(tenantId, [...from.sources.keys()]);
  agents.forEach(assertMay);
  const leaveOut = (agent: Agent) =>
    request.keepsLater && agent.desired > (from.generations.get(agent.id) ?? 0n)
      ? REKEYED
      : undefined;
  const taken = await takeBack(deps, caller, id, { agents, from, leaveOut });
  if (taken.snapshots.length === 0) throw nothingToRollBack(rollsBack, agents, taken.leftOut);
  const rollout: NewRollout = {
    ...{ tenantId, id, requestHash, reason, kind: "rollback", rollsBack, subject: from.subject },
    requestedBy: caller.id,
    warnings: [
      ...missingNamesWarnings(agents, taken.snapshots),
      ...notRolledBackWarnings(taken.snapshots),
    ],
  };
  const ids = agents.map((agent) => agent.id);
  const lock = (tx: Parameters<AgentWriter["lockAgents"]>[0]) =>
    deps.writer.lockAgents(tx, tenantId, ids);
  await openRollout(deps, { ...taken, caller, rollout, requestId, agents, lock, leaveOut });
  return id;
}

/** For rollouts that never were and for those of another tenant. */
export function rolloutNotFound(rolloutId: string): AppError {
  const message = `no rollout ${quoted(rolloutId)}`;
  return notFound(ErrorReason.ERROR_REASON_ROLLOUT_NOT_FOUND, message, {
    rollout_id: rolloutId.slice(0, 256),
  });
}

interface TakingBack {
  agents: readonly Agent[];
  from: RolloutSources;
  leaveOut: (agent: Agent) => string | undefined;
}

/** Those without an earlier generation are left out: there is nothing to ask the catalog for. */
async function takeBack(
  deps: RollbackDeps,
  caller: Caller,
  rolloutId: string,
  { agents, from, leaveOut }: TakingBack,
): Promise<Snapshots> {
  const rollbackTo = new Map(
    [...from.sources].flatMap(([id, source]) => (source === undefined ? [] : [[id, source]])),
  );
  const bound = agents.filter((agent) => rollbackTo.has(agent.id) && !leaveOut(agent));
  const taken = await withRemovals(deps, async (isAgain) => {
    const { tenantId } = caller;
    const ids = bound.map(({ id }) => id);
    const living = isAgain ? await deps.agents.findAll(tenantId, ids) : bound;
    return snapshotAgents(deps, caller, { rolloutId, agents: living, rollbackTo });
  });
  const leftOut = new Map(taken.leftOut);
  for (const agent of agents.filter((it) => !isEnding(it))) {
    const why = leaveOut(agent) ?? (rollbackTo.has(agent.id) ? undefined : NOTHING);
    if (why !== undefined) leftOut.set(agent.id, why);
  }
  return { ...taken, leftOut };
}

function nothingToRollBack(
  rolloutId: string,
  agents: readonly Agent[],
  leftOut: ReadonlyMap<string, string>,
): AppError {
  const [first] = agents.filter(({ id }) => leftOut.has(id));
  const why = first
    ? `agent ${quoted(first.path)}: ${leftOut.get(first.id)}`
    : "its agents are over";
  const message = `rollout ${quoted(rolloutId)} has nothing to go back to: ${why}`;
  return failedPrecondition(ErrorReason.ERROR_REASON_NOTHING_TO_ROLL_BACK, message, {
    ...(first && { agent_id: first.id }),
    rollout_id: rolloutId,
  });
}
