import type { AgentSettings, HostCredential } from "../../../gen/murmur/rotation/v1/agents";
import { notFound, unavailable } from "../../../lib/errors";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import type { EnvFiles } from "../env-set/env-files";
import type { LocalHandlers } from "../local-socket/local-handlers";

export interface LocalValuesDeps {
  envFiles: Pick<EnvFiles, "readValues">;
  /** What this machine knows of the caller. */
  find(agentId: string): { settings?: AgentSettings | undefined } | undefined;
}

/** Answers an agent's programs that ask for values of its own set, in force at that moment. */
export function createLocalValues(
  deps: LocalValuesDeps,
): Pick<LocalHandlers, "onGetValues" | "onGetSettings"> {
  return {
    onGetValues: async (callerId, { names }) => {
      const current = deps.envFiles.readValues(callerId, names);
      if (!current) throw unavailable("the agent has no environment at the moment");
      const values = [...current.values].map(([name, value]) => {
        const bytes = value.expose();
        const text = bytes.toString("base64");
        bytes.fill(0);
        return [name, text];
      });
      return Promise.resolve({
        generation: String(current.generation),
        values: Object.fromEntries(values) as object,
      });
    },
    onGetSettings(callerId) {
      const caller = deps.find(callerId);
      if (!caller) throw notFound(ErrorReason.ERROR_REASON_AGENT_NOT_FOUND, "no agent that asks");
      const { git = [], docker = [] } = caller.settings ?? {};
      return Promise.resolve({ git: toJson(git), docker: toJson(docker) });
    },
  };
}

function toJson(hosts: readonly HostCredential[]): object {
  return Object.fromEntries(
    hosts.map(({ host, username, passwordSecret }) => [
      host,
      { password_secret: passwordSecret, ...(username !== "" && { username }) },
    ]),
  );
}
