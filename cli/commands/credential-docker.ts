import { type CommandContext, type Run } from "../command";
import { findLogin, type KnownHosts, type Login } from "../credentials/find-credential";
import { USUAL_DOCKER } from "../credentials/usual-credentials";
import { LocalError, UsageError } from "../errors";
import { readStdin } from "../input/stdin";
import { readHostCredentials } from "../vm-side/own-values";

/** The very words by which docker knows that it may go on without. */
const NOT_FOUND = "credentials not found in native keychain";
/** What docker calls its own registry. */
const DOCKER_HUB = ["index.docker.io", "registry-1.docker.io"];

/**
 * A credential helper of docker, whose errors are read from standard output. Docker finds it under
 * the name `docker-credential-murmur` (see main.ts).
 */
export const run: Run = async (context, call) => {
  try {
    await obey(context, call.arg("operation"));
  } catch (error) {
    if (error instanceof Error) context.output.line(error.message);
    throw error;
  }
};

async function obey(context: CommandContext, operation: string): Promise<void> {
  if (operation === "get") await get(context);
  else if (operation === "list") await list(context);
  else if (operation === "store")
    throw new LocalError("murmur keeps no logins; write the token with murmur secret set");
  else if (operation !== "erase")
    throw new UsageError("operation must be one of get, list, store, erase");
}

async function get(context: CommandContext): Promise<void> {
  const { terminal } = context;
  const server = (await readStdin(terminal)).toString("utf8").trim();
  const host = hostOf(server);
  const login = await findLogin(terminal.env, await knownHosts(context), host);
  if (!login) throw new LocalError(NOT_FOUND);
  const { username, password } = login;
  const secret = password.expose().toString("utf8");
  terminal.stdout.write(
    `${JSON.stringify({ ServerURL: server, Username: username, Secret: secret })}\n`,
  );
}

/** Registries of which this agent has the secret. */
async function list(context: CommandContext): Promise<void> {
  const hosts = await knownHosts(context);
  const found: Record<string, string> = {};
  for (const host of new Set([...hosts.said.keys(), ...hosts.usual.keys()])) {
    const login: Login | undefined = await findLogin(context.terminal.env, hosts, host).catch(
      () => undefined,
    );
    if (login) found[host] = login.username;
  }
  context.terminal.stdout.write(`${JSON.stringify(found)}\n`);
}

async function knownHosts({ terminal }: CommandContext): Promise<KnownHosts> {
  const { docker } = await readHostCredentials(terminal.env);
  return { said: docker, usual: USUAL_DOCKER };
}

/** `https://index.docker.io/v1/` is `docker.io`, any other a host with its port. */
function hostOf(server: string): string {
  const host = server
    .replace(/^https?:\/\//, "")
    .replace(/\/.*$/, "")
    .toLowerCase();
  return DOCKER_HUB.includes(host) ? "docker.io" : host;
}
