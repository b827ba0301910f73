import { type Environment } from "../../lib/config";
import { isAppError } from "../../lib/errors";
import { sensitive, type Sensitive } from "../../lib/sensitive";
import { HintedError } from "../errors";
import { askDaemon, isObject, type Json, textOf } from "./ask-daemon";
import { socketPath } from "./socket-path";

/** With which of its secrets an agent's programs log in to a host. */
export interface HostCredential {
  /** Undefined: the usual one of that host. */
  username: string | undefined;
  secret: string;
}

/** What was said at the agent's spawn: host → credential. */
export interface HostCredentials {
  git: ReadonlyMap<string, HostCredential>;
  docker: ReadonlyMap<string, HostCredential>;
}

/**
 * Values of the set that is in force for the agent that this process belongs to, all of one
 * generation; names that it lacks are absent. Throws the daemon's refusal.
 */
export async function readOwnValues(
  env: Environment,
  names: readonly string[],
): Promise<ReadonlyMap<string, Sensitive<Buffer>>> {
  const { values } = await ask(env, "get-values", { names });
  const found = Object.entries(isObject(values) ? values : {});
  return new Map(
    found.map(([name, text]) => [name, sensitive(Buffer.from(textOf(text), "base64"))]),
  );
}

export async function readHostCredentials(env: Environment): Promise<HostCredentials> {
  const { git, docker } = await ask(env, "get-settings", {});
  return { git: toHosts(git), docker: toHosts(docker) };
}

async function ask(env: Environment, method: string, params: Json): Promise<Json> {
  try {
    return await askDaemon(socketPath(env), method, params);
  } catch (error) {
    if (!isAppError(error, "PERMISSION_DENIED")) throw error;
    throw new HintedError(error, "Only processes that an agent started, as its user, may ask.");
  }
}

function toHosts(value: unknown): ReadonlyMap<string, HostCredential> {
  const hosts = Object.entries(isObject(value) ? value : {});
  return new Map(
    hosts.map(([host, credential]) => {
      const { username, password_secret: secret } = isObject(credential) ? credential : {};
      return [host, { username: textOf(username) || undefined, secret: textOf(secret) }];
    }),
  );
}
