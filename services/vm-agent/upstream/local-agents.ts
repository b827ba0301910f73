import { randomUUID } from "node:crypto";
import type { EnvironmentServiceService } from "../../../gen/murmur/catalog/v1/environments";
import type { AgentServiceService, AgentSettings } from "../../../gen/murmur/rotation/v1/agents";
import type { DesiredAgent } from "../../../gen/murmur/rotation/v1/vm_sync";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { notFound } from "../../../lib/errors";
import type { ClientOf } from "../../../lib/grpc/client";
import { retry } from "../../../lib/retry";
import type { LocalHandlers } from "../local-socket/local-handlers";
import { agentToJson, processToJson } from "./agent-json";

export interface LocalAgentsDeps {
  agents: ClientOf<typeof AgentServiceService>;
  environments: ClientOf<typeof EnvironmentServiceService>;
  /** What this machine knows of the caller. */
  find(agentId: string): DesiredAgent | undefined;
  daemonStatus(): object;
}

/** What is asked about agents; values have handlers of their own. */
type ForAgents = Omit<LocalHandlers, "onGetValues" | "onGetSettings">;

const SPAWN_MS = 30_000;

/** Answers an agent's own processes: children of the caller, and the caller's descendants only. */
export function createLocalAgents(deps: LocalAgentsDeps): ForAgents {
  const callerOf = (agentId: string): DesiredAgent => {
    const caller = deps.find(agentId);
    if (!caller) throw notFound(ErrorReason.ERROR_REASON_AGENT_NOT_FOUND, "no agent that asks");
    return caller;
  };
  return {
    async onSpawnChild(callerId, request, signal) {
      const caller = callerOf(callerId);
      const agentId = randomUUID();
      if (request.env.size > 0) {
        const secrets = [...request.env].map(([name, value]) => ({
          name,
          plaintextValue: Buffer.from(value.expose()),
        }));
        await deps.environments.storeSpawnSecrets({ agentId, secrets }, { signal });
      }
      const { agent, warnings } = await retry(
        () =>
          deps.agents.spawnAgent(
            {
              agentId,
              workspace: caller.workspace,
              slug: request.slug,
              vm: "",
              parentAgentId: callerId,
              command: request.argv,
              workingDirectory: request.workingDirectory ?? "",
              expectsSpawnSecrets: request.env.size > 0,
              settings: caller.settings && toChildSettings(caller.settings),
            },
            { signal },
          ),
        { deadlineMs: SPAWN_MS, signal },
      );
      return { agent_id: agentId, path: agent?.path ?? "", warnings };
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
