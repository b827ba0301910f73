import type { EnvironmentPreview } from "../../../gen/murmur/catalog/v1/environments";
import type {
  PreviewedChange,
  PreviewRekeyResponse,
  RolloutSelection,
} from "../../../gen/murmur/rotation/v1/rollouts";
import type { Principal } from "../../../lib/identity/principal";
import type { AgentBindings, GenuineAgent } from "../agents/agent-bindings";
import type { Agent } from "../agents/domain/agent";
import { agentChanged } from "../agents/domain/agent-errors";
import type { CatalogClient } from "../catalog/catalog-client";
import { missingNamesWarnings } from "./domain/warnings";
import { selectAgents, type SelectAgentsDeps } from "./select-agents";

export interface PreviewRekeyDeps extends SelectAgentsDeps {
  catalog: SelectAgentsDeps["catalog"] & Pick<CatalogClient, "preview">;
  bindings: Pick<AgentBindings, "isGenuine">;
}

/** Says whom a rekey would change, and which names; agents with the same change stand together. */
export async function previewRekey(
  deps: PreviewRekeyDeps,
  principal: Principal,
  selection: RolloutSelection | undefined,
): Promise<PreviewRekeyResponse> {
  const { agents } = await selectAgents(deps, principal, selection);
  const { bindings } = deps;
  const genuine = agents.filter((agent): agent is GenuineAgent => bindings.isGenuine(agent));
  const found = await deps.catalog.preview(genuine);
  const byAgent = new Map(found.map((it) => [it.agentId, it]));
  return {
    changes: grouped(agents.map((agent) => [agent, byAgent.get(agent.id) ?? refusalOf(agent)])),
    warnings: missingNamesWarnings(agents, found),
  };
}

function refusalOf(agent: Agent): EnvironmentPreview {
  return {
    agentId: agent.id,
    ...{ addedNames: [], changedNames: [], removedNames: [], missingNames: [] },
    refusal: agentChanged(agent).message,
  };
}

function grouped(pairs: readonly [Agent, EnvironmentPreview][]): PreviewedChange[] {
  const groups = new Map<string, PreviewedChange>();
  for (const [agent, { addedNames, changedNames, removedNames, refusal }] of pairs) {
    const change = { addedNames, changedNames, removedNames, refusal };
    const key = JSON.stringify(change);
    const group = groups.get(key) ?? { agents: [], ...change };
    const { id: agentId, workspace, path, vmName } = agent;
    group.agents.push({ agentId, workspace, path, vmName });
    groups.set(key, group);
  }
  return [...groups.values()];
}
