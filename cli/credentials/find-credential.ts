import { type Environment } from "../../lib/config";
import { type Sensitive } from "../../lib/sensitive";
import { LocalError } from "../errors";
import { type HostCredential, readOwnValues } from "../vm-side/own-values";
import { type UsualCredential } from "./usual-credentials";

/** What a program logs in with. */
export interface Login {
  username: string;
  password: Sensitive<Buffer>;
}

/** What is known of hosts; what was said at the spawn comes first. */
export interface KnownHosts {
  said: ReadonlyMap<string, HostCredential>;
  usual: ReadonlyMap<string, UsualCredential>;
}

const DEFAULT_USERNAME = "x-access-token";

/**
 * The login of a host, with the value that is in force now; undefined where nothing is known of it,
 * or the agent has none of the usual secrets. Throws LocalError when it lacks the secret that was
 * said.
 */
export async function findLogin(
  env: Environment,
  { said, usual }: KnownHosts,
  host: string,
): Promise<Login | undefined> {
  const credential = said.get(host);
  const habit = usual.get(host);
  const secrets = credential ? [credential.secret] : (habit?.secrets ?? []);
  if (secrets.length === 0) return undefined;
  const values = await readOwnValues(env, secrets);
  const password = secrets.map((name) => values.get(name)).find((value) => value !== undefined);
  const username = credential?.username ?? habit?.username ?? DEFAULT_USERNAME;
  if (password) return { username, password };
  if (!credential) return undefined;
  throw new LocalError(`this agent has no ${credential.secret}, which is the secret for ${host}`);
}
