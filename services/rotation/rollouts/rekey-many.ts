import type { RolloutSelection } from "../../../gen/murmur/rotation/v1/rollouts";
import type { Principal } from "../../../lib/identity/principal";
import type { Tx } from "../../../lib/postgres/db";
import { digestOf } from "../agents/domain/agent";
import type { AgentStore, AgentWriter } from "../agents/store/agent-store";
import type { Caller } from "../audit";
import { missingNamesWarnings } from "./domain/warnings";
import { openRollout, type OpenRolloutDeps } from "./open-rollout";
import {
  assertSameRequest,
  checkRequest,
  rolloutIdOf,
  type RolloutRequest,
} from "./rollout-request";
import { selectAgents, type SelectAgentsDeps } from "./select-agents";
import { snapshotAgents, withRemovals, type SnapshotAgentsDeps } from "./snapshot-agents";
import type { NewRollout } from "./store/rollout-store";

export interface RekeyManyDeps extends SelectAgentsDeps, SnapshotAgentsDeps, OpenRolloutDeps {
  pool: OpenRolloutDeps["pool"];
  catalog: SelectAgentsDeps["catalog"] & SnapshotAgentsDeps["catalog"];
  agents: SelectAgentsDeps["agents"] & Pick<AgentStore, "findAll">;
  writer: Pick<AgentWriter, "lockSubtrees">;
}

export interface RekeyManyRequest extends RolloutRequest {
  selection: RolloutSelection | undefined;
}

/**
 * Gives every living agent of a selection a new generation, as one rollout, and returns its id. A
 * repeated request id returns the first one's.
 */
export async function rekeyMany(
  deps: RekeyManyDeps,
  principal: Principal,
  caller: Caller,
  request: RekeyManyRequest,
): Promise<string> {
  checkRequest(request);
  const { tenantId } = principal;
  const { requestId, reason, selection } = request;
  const id = rolloutIdOf(tenantId, requestId);
  const requestHash = requestHashOf(request, caller);
  const earlier = await deps.rollouts.requestHash(tenantId, id);
  if (earlier) {
    assertSameRequest(earlier, requestHash, requestId);
    return id;
  }
  const { subject, agents } = await selectAgents(deps, principal, selection);
  const ids = agents.map((agent) => agent.id);
  const taken = await withRemovals(deps, async (isAgain) => {
    const living = isAgain ? await deps.agents.findAll(tenantId, ids) : agents;
    return snapshotAgents(deps, caller, { rolloutId: id, agents: living });
  });
  const rollout: NewRollout = {
    ...{ tenantId, id, requestHash, reason, kind: "rekey", rollsBack: undefined, subject },
    requestedBy: caller.id,
    warnings: missingNamesWarnings(agents, taken.snapshots),
  };
  const lock = (tx: Tx) => deps.writer.lockSubtrees(tx, tenantId, ids);
  await openRollout(deps, { ...taken, caller, rollout, requestId, agents, lock });
  return id;
}

function requestHashOf({ selection, reason }: RekeyManyRequest, caller: Caller): Buffer {
  const { workspace = "", which } = selection ?? {};
  return digestOf(
    ...["rekey-many", workspace, which?.$case ?? "", JSON.stringify(which?.value ?? "")],
    ...[reason, caller.id],
  );
}
