import { agentEnded } from "../agents/domain/agent-errors";
import type { AgentStore, AgentTree } from "../agents/store/agent-store";
import type { Caller } from "../audit";
import { hasLiving } from "./domain/plan-rekey";
import {
  snapshotAgents,
  withRemovals,
  type SnapshotAgentsDeps,
  type Snapshots,
} from "./snapshot-agents";

export interface SnapshotTreeDeps extends SnapshotAgentsDeps {
  agents: Pick<AgentStore, "findTree">;
}

/** One new generation for each living agent of a tree, as snapshotAgents makes them. */
export async function snapshotTree(
  deps: SnapshotTreeDeps,
  caller: Caller,
  tree: AgentTree,
  rolloutId: string,
): Promise<Snapshots> {
  return withRemovals(deps, async (isAgain) => {
    const { agent, descendants } = isAgain ? await readAgain(deps, tree) : tree;
    const wish = { rolloutId, agents: [agent, ...descendants], named: agent };
    return snapshotAgents(deps, caller, wish);
  });
}

async function readAgain({ agents }: SnapshotTreeDeps, { agent }: AgentTree): Promise<AgentTree> {
  const { tenantId, workspace, path } = agent;
  const fresh = await agents.findTree(tenantId, workspace, path);
  if (fresh && hasLiving(fresh.agent, fresh.descendants)) return fresh;
  throw agentEnded(path, fresh?.agent ?? { phase: "cancelled", killRequested: true });
}
