import { type AgentKeeper, type SpawnWish } from "../agents/agent-view";
import { type Environment } from "../../lib/config";
import { UsageError } from "../errors";
import { askDaemon, type Json, textOf } from "./ask-daemon";
import { toAgentDetails, toAgentViews, toWarnings } from "./read-answer";
import { socketPath } from "./socket-path";

/** Agents by way of the daemon of the VM that this process runs on: the caller's own descendants. */
export function createSocketAgentKeeper(env: Environment): AgentKeeper {
  const ask = (method: string, params: Json) => askDaemon(socketPath(env), method, params);
  return {
    async spawn(wish) {
      refuseElsewhere(wish, env);
      const method = wish.adoptPid === undefined ? "spawn-child" : "adopt-child";
      const child = await ask(method, toSpawnParams(wish));
      return {
        agentId: textOf(child["agent_id"]),
        path: textOf(child["path"]),
        vm: undefined,
        warnings: toWarnings(child),
      };
    },
    async list({ includeEnded }) {
      const answer = await ask("list", { include_ended: includeEnded });
      return toAgentViews(answer["agents"]);
    },
    async get(_workspace, path) {
      return toAgentDetails(await ask("status", { path }));
    },
    async kill(_workspace, path) {
      return toAgentViews((await ask("kill", { path }))["agents"]);
    },
  };
}

function toSpawnParams(wish: SpawnWish): Json {
  const { slug, command, adoptPid: pid, variables, workingDirectory } = wish;
  return {
    slug,
    ...(pid === undefined ? { argv: command } : { pid }),
    env: Object.fromEntries(variables.map(({ name, value }) => [name, value.expose()])),
    ...(workingDirectory !== undefined && { working_directory: workingDirectory }),
  };
}

/** A child lives where its parent does, in the same workspace. */
function refuseElsewhere({ vm, workspace }: SpawnWish, env: Environment): void {
  if (vm !== undefined)
    throw new UsageError("--vm cannot be given on a VM: a child runs beside its parent");
  if (workspace !== undefined && workspace !== env["MURMUR_WORKSPACE"])
    throw new UsageError(
      "--workspace cannot be given on a VM: a child is in its parent's workspace",
    );
}
