import {
  HopState as HopStateMessage,
  type AgentServiceService,
} from "../../../../gen/murmur/rotation/v1/agents";
import { unauthenticated } from "../../../../lib/errors";
import type { CallContext } from "../../../../lib/grpc/context";
import type { HandlersOf } from "../../../../lib/grpc/definition";
import type { Principal } from "../../../../lib/identity/principal";
import { readPage, toPage } from "../../../../lib/page";
import { callerOf } from "../../audit";
import type { VmContact } from "../../rollouts/domain/rollout";
import { agentNotFound } from "../domain/agent-errors";
import { toProcessMessage } from "../domain/agent-process";
import { explain, type HopState } from "../domain/explain";
import { findHolders, type HoldersDeps } from "../holders";
import { killAgent, type KillDeps } from "../kill";
import { spawnAgent, type SpawnDeps } from "../spawn";
import type { AgentStore, AgentTree } from "../store/agent-store";
import { listKeyOf } from "../store/postgres-agent-store";
import { toAgent } from "./to-agent";
import { toHolder } from "./to-holder";

export interface AgentServiceDeps extends SpawnDeps, KillDeps, HoldersDeps {
  agents: AgentStore;
  catalog: SpawnDeps["catalog"] & HoldersDeps["catalog"];
  contactOf: (tenantId: string, vmId: string) => Promise<VmContact>;
}

const HOP_STATES: Record<HopState, HopStateMessage> = {
  done: HopStateMessage.HOP_STATE_DONE,
  waiting: HopStateMessage.HOP_STATE_WAITING,
  failed: HopStateMessage.HOP_STATE_FAILED,
  "not-reached": HopStateMessage.HOP_STATE_NOT_REACHED,
};

/** The handlers of AgentService. */
export function createAgentService(deps: AgentServiceDeps): HandlersOf<typeof AgentServiceService> {
  return {
    async spawnAgent(request, context) {
      const caller = callerOf(context);
      const { agent, warnings } = await spawnAgent(deps, principalOf(context), caller, request);
      return { agent: toAgent(agent), warnings };
    },
    async getAgent(request, context) {
      const { agent, descendants } = await findVisible(deps, principalOf(context), request);
      const processes = await deps.agents.findProcesses(agent.tenantId, agent.id);
      return {
        agent: toAgent(agent),
        descendants: descendants.map(toAgent),
        processes: processes.map(toProcessMessage),
        reportedAt: agent.reportedAt,
      };
    },
    async listAgents(request, context) {
      const principal = principalOf(context);
      const page = readPage("agents", request);
      const rows = await deps.agents.list({
        tenantId: principal.tenantId,
        workspace: request.workspace === "" ? undefined : request.workspace,
        vmId: principal.kind === "vm" ? principal.id : undefined,
        includeEnded: request.includeEnded,
        page,
      });
      const { items, nextPageToken } = toPage("agents", rows, page, listKeyOf);
      return { agents: items.map(toAgent), nextPageToken };
    },
    async killAgent({ workspace, path, callerAgentId }, context) {
      const request = { workspace, path, callerAgentId: callerAgentId.toLowerCase() };
      const killed = await killAgent(deps, principalOf(context), callerOf(context), request);
      return { agents: killed.map(toAgent) };
    },
    async explainAgent(request, context) {
      const { agent } = await findVisible(deps, principalOf(context), request);
      const { hops, summary } = explain(agent, await deps.contactOf(agent.tenantId, agent.vmId));
      return {
        agent: toAgent(agent),
        hops: hops.map(({ name, state, detail, at }) => ({
          name,
          state: HOP_STATES[state],
          detail,
          at,
        })),
        summary,
      };
    },
    async listHolders(request, context) {
      const page = readPage("holders", request);
      const { secretName, version, workspace } = request;
      const wish = { secretName, version, workspace: workspace === "" ? undefined : workspace };
      const { rows, holders } = await findHolders(deps, principalOf(context), wish, page);
      const { nextPageToken } = toPage("holders", rows, page, ({ agent }) => listKeyOf(agent));
      return { holders: holders.map(toHolder), nextPageToken };
    },
  };
}

/** Whoever calls; the access table lets nobody in without a principal. */
export function principalOf(context: CallContext): Principal {
  if (!context.principal) throw unauthenticated();
  return context.principal;
}

/** A VM sees the agents that live on it, and of others not even that they are there. */
async function findVisible(
  deps: Pick<AgentServiceDeps, "agents">,
  principal: Principal,
  { workspace, path }: { workspace: string; path: string },
): Promise<AgentTree> {
  const tree = await deps.agents.findTree(principal.tenantId, workspace, path);
  if (!tree) throw agentNotFound(path, workspace);
  if (principal.kind !== "vm") return tree;
  const isOwn = (agent: { vmId: string }) => agent.vmId === principal.id;
  if (!isOwn(tree.agent)) throw agentNotFound(path, workspace);
  return { agent: tree.agent, descendants: tree.descendants.filter(isOwn) };
}
