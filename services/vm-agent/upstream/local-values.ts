import { notFound, unavailable } from "../../../lib/errors";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import type { EnvFiles } from "../env-set/env-files";
import type { LocalHandlers } from "../local-socket/local-handlers";

/** A host that an agent's programs log in to, and with which of its secrets. */
export interface HostCredential {
  host: string;
  /** "": the usual one of that host. */
  username: string;
  passwordSecret: string;
}

/** What was said at an agent's spawn about the programs that ask. */
export interface AskingSettings {
  git: readonly HostCredential[];
  docker: readonly HostCredential[];
}

export interface LocalValuesDeps {
  envFiles: Pick<EnvFiles, "readValues">;
  /** Undefined for an agent that this machine knows nothing of. */
  settingsOf(agentId: string): AskingSettings | undefined;
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
      const settings = deps.settingsOf(callerId);
      if (!settings) throw notFound(ErrorReason.ERROR_REASON_AGENT_NOT_FOUND, "no agent that asks");
      return Promise.resolve({ git: toJson(settings.git), docker: toJson(settings.docker) });
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
