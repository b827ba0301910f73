import type { Principal } from "../../../lib/identity/principal";
import type { Tx } from "../../../lib/postgres/db";
import { digestOf, type Agent, type LaunchableAgent } from "../agents/domain/agent";
import { agentEnded, agentNotFound } from "../agents/domain/agent-errors";
import { assertManages } from "../agents/domain/authority";
import type { AgentTree, AgentWriter } from "../agents/store/agent-store";
import type { Caller } from "../audit";
import { hasLiving } from "./domain/plan-rekey";
import { missingNamesWarnings } from "./domain/warnings";
import { openRollout, type OpenRolloutDeps } from "./open-rollout";
import {
  assertSameRequest,
  checkRequest,
  rolloutIdOf,
  type RolloutRequest,
} from "./rollout-request";
import { snapshotTree, type SnapshotTreeDeps } from "./snapshot-tree";
import type { NewRollout, RolloutSubject } from "./store/rollout-store";

export interface RekeyDeps extends SnapshotTreeDeps, OpenRolloutDeps {
  pool: OpenRolloutDeps["pool"];
  writer: OpenRolloutDeps["writer"] & Pick<AgentWriter, "lockTree" | "lockSubtree">;
}

export interface RekeyRequest extends RolloutRequest {
  workspace: string;
  path: string;
}

/**
 * Gives an agent and all below it a new generation and returns the id of the rollout, durable and
 * handed to the streams of this replica. A repeated request id returns the first one's.
 */
export async function rekeyAgent(
  deps: RekeyDeps,
  principal: Principal,
  caller: Caller,
  request: RekeyRequest,
): Promise<string> {
  checkRequest(request);
  const { tenantId } = principal;
  const { requestId, workspace, path, reason } = request;
  const id = rolloutIdOf(tenantId, requestId);
  const requestHash = digestOf(workspace, path, reason, caller.id);
  const [tree, earlier] = await Promise.all([
    deps.agents.findTree(tenantId, workspace, path),
    deps.rollouts.requestHash(tenantId, id),
  ]);
  if (earlier) {
    assertSameRequest(earlier, requestHash, requestId);
    return id;
  }
  if (!tree) throw agentNotFound(path, workspace);
  assertManages(principal, tree.agent);
  if (!hasLiving(tree.agent, tree.descendants)) throw agentEnded(path, tree.agent);
  const taken = await snapshotTree(deps, caller, tree, id);
  const agents = [tree.agent, ...tree.descendants];
  const rollout: NewRollout = {
    ...{ tenantId, id, requestHash, reason, kind: "rekey", rollsBack: undefined },
    subject: toSubject(tree.agent),
    requestedBy: caller.id,
    warnings: missingNamesWarnings(agents, taken.snapshots),
  };
  const lock = (tx: Tx) => lockLiving(deps, tx, tree);
  await openRollout(deps, { ...taken, caller, rollout, requestId, agents, lock });
  return id;
}

/** A rollout that names one agent. */
export function toSubject({ id, workspace, path }: Agent): RolloutSubject {
  return { agentId: id, workspace, path, secretName: "" };
}

async function lockLiving(
  { writer }: { writer: Pick<AgentWriter, "lockTree" | "lockSubtree"> },
  tx: Tx,
  { agent, descendants }: AgentTree,
): Promise<LaunchableAgent[]> {
  await writer.lockTree(tx, agent.tenantId, agent.rootId, "update");
  const known = [agent, ...descendants].map(({ id }) => id);
  const locked = await writer.lockSubtree(tx, agent, known);
  const root = locked.find(({ id }) => id === agent.id);
  if (!root || !hasLiving(root, locked)) throw agentEnded(agent.path, root ?? agent);
  return locked;
}
