import { RekeyAgentsRequest } from "../../../gen/murmur/rotation/v1/rollouts";
import type { Principal } from "../../../lib/identity/principal";
import type { Tx } from "../../../lib/postgres/db";
import type { AgentBindings } from "../agents/agent-bindings";
import { digestOf, type Agent, type LaunchableAgent } from "../agents/domain/agent";
import type { AgentHealthCheck } from "../agents/domain/agent-health";
import type { AgentStore, AgentWriter } from "../agents/store/agent-store";
import type { Caller } from "../audit";
import { readCanary, type CanaryRequest } from "./domain/canary-wish";
import { missingNamesWarnings } from "./domain/warnings";
import { openRollout, type OpenRolloutDeps } from "./open-rollout";
import { assertSameRequest, checkRequest, rolloutIdOf } from "./rollout-request";
import { selectAgents, type SelectAgentsDeps } from "./select-agents";
import { snapshotAgents, withRemovals, type SnapshotAgentsDeps } from "./snapshot-agents";
import type { NewCanary } from "./store/canary-store";
import type { NewRollout } from "./store/rollout-store";

export interface RekeyManyDeps extends SelectAgentsDeps, SnapshotAgentsDeps, OpenRolloutDeps {
  pool: OpenRolloutDeps["pool"];
  catalog: SelectAgentsDeps["catalog"] & SnapshotAgentsDeps["catalog"];
  agents: SelectAgentsDeps["agents"] & Pick<AgentStore, "findAll">;
  bindings: SnapshotAgentsDeps["bindings"] & Pick<AgentBindings, "healthMacOf">;
  writer: OpenRolloutDeps["writer"] & Pick<AgentWriter, "lockAgents" | "lockSubtrees">;
}

/** How long canaries have to be on their generation, beside the time of their health check. */
const CANARY_WITHIN_MS = 300_000;

/**
 * Gives every living agent of a selection a new generation, as one rollout, and returns its id; with
 * canaries only those, and the others are left to wait (canaries.ts). A repeated request id returns
 * the first one's.
 */
export async function rekeyMany(
  deps: RekeyManyDeps,
  principal: Principal,
  caller: Caller,
  request: RekeyAgentsRequest,
): Promise<string> {
  checkRequest(request);
  const canary = readCanary(request.canary);
  const { tenantId } = principal;
  const { requestId, reason, selection } = request;
  const id = rolloutIdOf(tenantId, requestId);
  const requestHash = requestHashOf(request, caller);
  const earlier = await deps.rollouts.requestHash(tenantId, id);
  if (earlier) {
    assertSameRequest(earlier, requestHash, requestId);
    return id;
  }
  const { subject, agents: selected } = await selectAgents(deps, principal, selection);
  const { agents, waiting } = split(selected, canary);
  const ids = agents.map((agent) => agent.id);
  const taken = await withRemovals(deps, async (isAgain) => {
    const living = isAgain ? await deps.agents.findAll(tenantId, ids) : agents;
    return snapshotAgents(deps, caller, { rolloutId: id, agents: living });
  });
  const rollout: NewRollout = {
    ...{ tenantId, id, requestHash, reason, kind: "rekey", rollsBack: undefined, subject },
    requestedBy: caller.id,
    warnings: missingNamesWarnings(agents, taken.snapshots),
    canary: canary && toNewCanary(canary, ids, waiting),
  };
  // Those below a canary wait with the others, unless they are canaries, too.
  const lock = (tx: Tx) =>
    canary
      ? deps.writer.lockAgents(tx, tenantId, ids)
      : deps.writer.lockSubtrees(tx, tenantId, ids);
  const checkOf = checkMaker(deps, id, canary);
  await openRollout(deps, { ...taken, caller, rollout, requestId, agents, lock, checkOf });
  return id;
}

function split(
  selected: readonly Agent[],
  canary: CanaryRequest | undefined,
): { agents: readonly Agent[]; waiting: readonly Agent[] } {
  const count = canary ? canary.countOf(selected.length) : selected.length;
  return { agents: selected.slice(0, count), waiting: selected.slice(count) };
}

function toNewCanary(
  { health, thenWaitMs }: CanaryRequest,
  agentIds: readonly string[],
  waiting: readonly Agent[],
): NewCanary {
  return {
    agentIds,
    waitingIds: waiting.map(({ id }) => id),
    hasHealth: health !== undefined,
    thenWaitMs,
    withinMs: CANARY_WITHIN_MS + (health?.timeoutMs ?? 0),
  };
}

function checkMaker(
  { bindings }: Pick<RekeyManyDeps, "bindings">,
  rolloutId: string,
  canary: CanaryRequest | undefined,
): ((agent: LaunchableAgent) => AgentHealthCheck) | undefined {
  const health = canary?.health;
  if (!health) return undefined;
  const check = { id: rolloutId, ...health };
  return (agent) => ({
    ...check,
    generation: String(agent.desired),
    mac: bindings.healthMacOf(agent, check),
  });
}

function requestHashOf(request: RekeyAgentsRequest, caller: Caller): Buffer {
  const bytes = RekeyAgentsRequest.encode({ ...request, requestId: "" }).finish();
  return digestOf("rekey-many", bytes, caller.id);
}
