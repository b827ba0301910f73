import { randomUUID } from "node:crypto";
import {
  type Agent,
  type AgentProcess,
  type AgentSettings,
  agentPhaseToJSON,
  type ExitStatus,
  reloadOutcomeToJSON,
  type ReloadResult,
} from "../../gen/murmur/rotation/v1/agents";
import { allPages } from "../all-pages";
import { type CommandContext } from "../command";
import { readAgentSettings } from "../config/agent-settings";
import { patient } from "../patient";
import {
  type AgentKeeper,
  type AgentView,
  type ProcessView,
  type ReloadView,
  type Spawned,
  type SpawnWish,
} from "./agent-view";

/** Agents by way of the rotation service, as a developer sees them. */
export function createRotationAgentKeeper(context: CommandContext): AgentKeeper {
  return {
    spawn: (wish) => spawn(context, wish),
    async list({ workspace: flag, includeEnded }) {
      const workspace = (await context.findWorkspace(flag)) ?? "";
      const { agents } = await context.rotation();
      const found = await allPages(
        (page) => agents.listAgents({ workspace, includeEnded, ...page }),
        (page) => page.agents,
      );
      return found.map(toAgentView);
    },
    async get(flag, path) {
      const workspace = await context.requireWorkspace(flag);
      const { agents } = await context.rotation();
      const response = await patient(() => agents.getAgent({ workspace, path }));
      return {
        agent: toAgentView(response.agent),
        descendants: response.descendants.map(toAgentView),
        processes: response.processes.map(toProcessView),
        reportedAt: response.reportedAt,
      };
    },
    async kill(flag, path) {
      const workspace = await context.requireWorkspace(flag);
      const { agents } = await context.rotation();
      const response = await patient(() =>
        agents.killAgent({ workspace, path, callerAgentId: "" }),
      );
      return response.agents.map(toAgentView);
    },
  };
}

export function toProcessView(process: AgentProcess): ProcessView {
  return { ...process, generation: Number(process.generation) };
}

/** The agent's id is chosen here, so that its values can wait for it and a repeat starts no twin. */
async function spawn(context: CommandContext, wish: SpawnWish): Promise<Spawned> {
  const workspace = await context.requireWorkspace(wish.workspace);
  const settings = await readSettings(context, wish);
  const agentId = randomUUID();
  const { agents } = await context.rotation();
  if (wish.variables.length > 0) {
    const { environments } = await context.catalog();
    const secrets = wish.variables.map(({ name, value }) => ({
      name,
      plaintextValue: Buffer.from(value.expose()),
    }));
    await patient(() => environments.storeSpawnSecrets({ agentId, secrets }));
  }
  const { agent, warnings } = await patient(() =>
    agents.spawnAgent({
      agentId,
      workspace,
      slug: wish.slug,
      vm: wish.vm ?? "",
      parentAgentId: "",
      command: [...wish.command],
      workingDirectory: wish.workingDirectory ?? "",
      expectsSpawnSecrets: wish.variables.length > 0,
      settings,
    }),
  );
  const { path, vm } = toAgentView(agent);
  return { agentId, path, vm, warnings };
}

/** What murmur.yaml says, and the process to adopt. */
async function readSettings(
  { terminal }: CommandContext,
  { slug, adoptPid: pid }: SpawnWish,
): Promise<AgentSettings | undefined> {
  const settings = await readAgentSettings(slug, terminal.cwd);
  if (pid === undefined) return settings;
  const none = { reload: undefined, childReload: undefined, layersOff: [], git: [], docker: [] };
  return { ...(settings ?? none), adopt: { pid, startTicks: 0n, askedAt: undefined } };
}

/** An agent in the words of the commands. */
export function toAgentView(agent: Agent | undefined): AgentView {
  if (!agent) throw new Error("the service answered without an agent");
  return {
    agentId: agent.agentId,
    workspace: agent.workspace,
    path: agent.path,
    phase: agentPhaseToJSON(agent.phase).replace("AGENT_PHASE_", "").toLowerCase(),
    vm: agent.vmName,
    desiredGeneration: Number(agent.desiredGeneration),
    appliedGeneration: Number(agent.appliedGeneration),
    createdAt: agent.createdAt,
    endedAt: agent.endedAt,
    exit: exitWords(agent.exitStatus?.how),
    developer: agent.developer,
    isEnding: agent.killRequested,
    reload: agent.reload && toReloadView(agent.reload),
    adoption: agent.adoption,
  };
}

/** A reload in the words of the commands. */
export function toReloadView({ generation, outcome, reason }: ReloadResult): ReloadView {
  const word = reloadOutcomeToJSON(outcome).replace("RELOAD_OUTCOME_", "").toLowerCase();
  return { generation: Number(generation), outcome: word, reason };
}

function exitWords(how: ExitStatus["how"]): string | undefined {
  if (!how) return undefined;
  return how.$case === "code" ? `status ${how.value}` : how.value;
}
