import { randomUUID } from "node:crypto";
import type { EnvironmentServiceService } from "../../../gen/murmur/catalog/v1/environments";
import type { AgentServiceService, AgentSettings } from "../../../gen/murmur/rotation/v1/agents";
import type { DesiredAgent } from "../../../gen/murmur/rotation/v1/vm_sync";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type AppError, failedPrecondition, notFound } from "../../../lib/errors";
import type { ClientOf } from "../../../lib/grpc/client";
import { retry } from "../../../lib/retry";
import type { LocalHandlers } from "../local-socket/local-handlers";
import type { SpawnChildRequest } from "../local-socket/protocol";
import { agentToJson, processToJson } from "./agent-json";

export interface LocalAgentsDeps {
  agents: ClientOf<typeof AgentServiceService>;
  environments: ClientOf<typeof EnvironmentServiceService>;
  /** What this machine knows of the caller. */
  find(agentId: string): DesiredAgent | undefined;
  /** The start time of the process with this pid; undefined when there is none. */
  startTimeOf(pid: number): number | undefined;
  daemonStatus(): object;
}

/** What is asked about agents; values have handlers of their own. */
type ForAgents = Omit<LocalHandlers, "onGetValues" | "onGetSettings">;

const SPAWN_MS = 30_000;
const NO_SETTINGS: AgentSettings = {
  ...{ reload: undefined, childReload: undefined, layersOff: [], git: [], docker: [] },
};

/** Answers an agent's own processes: children of the caller, and the caller's descendants only. */
export function createLocalAgents(deps: LocalAgentsDeps): ForAgents {
  const callerOf = (agentId: string): DesiredAgent => {
    const caller = deps.find(agentId);
    if (!caller) throw notFound(ErrorReason.ERROR_REASON_AGENT_NOT_FOUND, "no agent that asks");
    return caller;
  };
  return {
    onSpawnChild(callerId, request, signal) {
      const caller = callerOf(callerId);
      const settings = caller.settings && toChildSettings(caller.settings);
      return spawnChild(deps, caller, { ...request, command: request.argv, settings }, signal);
    },
    async onAdoptChild(callerId, request, signal) {
      const caller = callerOf(callerId);
      // From here on it is this process that is meant, whoever has its pid later.
      const startTicks = deps.startTimeOf(request.pid);
      if (startTicks === undefined) throw noProcess(request.pid);
      const settings = {
        ...toChildSettings(caller.settings ?? NO_SETTINGS),
        adopt: { pid: request.pid, startTicks: BigInt(startTicks), askedAt: undefined },
      };
      return spawnChild(deps, caller, { ...request, command: [], settings }, signal);
    },
    async onList(callerId, { includeEnded }, signal) {
      const { workspace, path } = callerOf(callerId);
      const descendants = [];
      for (let pageToken = ""; ;) {
        const page = await deps.agents.listAgents(
          { workspace, includeEnded, pageSize: 1000, pageToken },
          { signal },
        );
        descendants.push(...page.agents.filter((agent) => agent.path.startsWith(`${path}/`)));
        if (page.nextPageToken === "") return { agents: descendants.map(agentToJson) };
        pageToken = page.nextPageToken;
      }
    },
    async onStatus(callerId, request, signal) {
      const caller = callerOf(callerId);
      const path = below(caller, request.path);
      const found = await deps.agents.getAgent({ workspace: caller.workspace, path }, { signal });
      return {
        agent: found.agent && agentToJson(found.agent),
        descendants: found.descendants.map(agentToJson),
        processes: found.processes.map(processToJson),
        reported_at: found.reportedAt,
      };
    },
    async onKill(callerId, request, signal) {
      const { workspace } = callerOf(callerId);
      const path = below(callerOf(callerId), request.path);
      const { agents } = await deps.agents.killAgent(
        { workspace, path, callerAgentId: callerId },
        { signal },
      );
      return { agents: agents.map(agentToJson) };
    },
    onDaemonStatus: () => Promise.resolve(deps.daemonStatus()),
  };
}

/** What a child is to be. */
interface ChildWish extends Omit<SpawnChildRequest, "argv"> {
  command: string[];
  settings: AgentSettings | undefined;
}

async function spawnChild(
  deps: LocalAgentsDeps,
  caller: DesiredAgent,
  wish: ChildWish,
  signal: AbortSignal,
): Promise<object> {
  const agentId = randomUUID();
  if (wish.env.size > 0) {
    const secrets = [...wish.env].map(([name, value]) => ({
      name,
      plaintextValue: Buffer.from(value.expose()),
    }));
    await deps.environments.storeSpawnSecrets({ agentId, secrets }, { signal });
  }
  const request = {
    ...{ agentId, workspace: caller.workspace, slug: wish.slug, vm: "" },
    ...{ parentAgentId: caller.agentId, command: wish.command, settings: wish.settings },
    workingDirectory: wish.workingDirectory ?? "",
    expectsSpawnSecrets: wish.env.size > 0,
  };
  const { agent, warnings } = await retry(() => deps.agents.spawnAgent(request, { signal }), {
    deadlineMs: SPAWN_MS,
    signal,
  });
  return { agent_id: agentId, path: agent?.path ?? "", warnings };
}

function noProcess(pid: number): AppError {
  const reason = ErrorReason.ERROR_REASON_PROCESS_NOT_ADOPTABLE;
  return failedPrecondition(reason, `there is no process ${pid}`, { pid: String(pid) });
}

/** A child does without the same layers and logs in to the same hosts; all else is its own. */
function toChildSettings(settings: AgentSettings): AgentSettings {
  return { ...settings, reload: settings.childReload, adopt: undefined };
}

/**
 * The full path of what a caller named: itself without a name, a descendant by its full path or by
 * its path below the caller. Nothing else can be named.
 */
function below(caller: DesiredAgent, named: string | undefined): string {
  if (named === undefined || named === caller.path) return caller.path;
  return named.startsWith(`${caller.path}/`) ? named : `${caller.path}/${named}`;
}
