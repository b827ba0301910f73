import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type GetIdentityResponse, roleToJSON } from "../../gen/murmur/rotation/v1/identity";
import { unauthenticated } from "../../lib/errors";
import { sensitive, type Sensitive } from "../../lib/sensitive";
import { type CommandContext, type Invocation, type Run } from "../command";
import { findLocalConfig, LOCAL_CONFIG, readLocalConfig } from "../config/local-config";
import { writeLocalConfig } from "../config/write-local-config";
import { type ServiceAddress } from "../connect";
import { connectRotation } from "../connect-rotation";
import { LocalError, UsageError } from "../errors";
import { isAddress } from "../input/address";
import { hiddenPrompt } from "../input/hidden-prompt";
import { readStdin } from "../input/stdin";
import { isTokenLike } from "../input/token";
import { printable } from "../output/printable";
import { relativeTime } from "../output/relative-time";
import { patient } from "../patient";
import { traceParent } from "../trace-parent";

export const run: Run = async (context, call) => {
  for (const option of ["catalog", "rotation"]) checkAddress(option, call.text(option));
  const path = pathToWrite(context);
  const config = await readLocalConfig(existsSync(path) ? path : undefined);
  const address = call.text("rotation") ?? config.rotation;
  if (address === undefined)
    throw new UsageError("rotation's address is not known", "Give --rotation HOST:PORT.");
  const traceparent = traceParent(context.terminal.env);
  const present = { address, token: config.token, caFile: config.caFile, traceparent };
  const token = call.flag("renew") ? await renew(present) : await readToken(context, call);
  const identity = await verify({ ...present, token });
  const wanted = call.text("tenant");
  if (wanted !== undefined && wanted !== identity.tenantId)
    throw new LocalError(`the token is for tenant "${identity.tenantId}", not "${wanted}"`);
  writeLocalConfig(path, {
    catalog: call.text("catalog"),
    rotation: call.text("rotation"),
    tenant: identity.tenantId,
    workspace: call.text("workspace"),
    token: token.expose(),
  });
  report(context, identity, path);
};

function checkAddress(option: string, text: string | undefined): void {
  if (text !== undefined && !isAddress(text)) throw new UsageError(`--${option} must be HOST:PORT`);
}

/** The file that is in force, else a new one below the working directory. */
function pathToWrite({ terminal: { env, cwd } }: CommandContext): string {
  return findLocalConfig(env, cwd) ?? join(cwd, ".murmur", LOCAL_CONFIG);
}

async function readToken(
  { terminal }: CommandContext,
  call: Invocation,
): Promise<Sensitive<string>> {
  const file = call.text("token-file");
  const bytes =
    file === undefined ? await ask(terminal) : readTokenFile(resolve(terminal.cwd, file));
  const token = bytes.toString("utf8").trim();
  if (!isTokenLike(token)) throw new LocalError("that is no identity token or API key");
  return sensitive(token);
}

function ask(terminal: CommandContext["terminal"]): Promise<Buffer> {
  return terminal.stdin.isTTY
    ? hiddenPrompt(terminal, "Identity token or API key: ")
    : readStdin(terminal);
}

function readTokenFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new LocalError(`cannot read ${path} (${code})`);
  }
}

async function renew(to: ServiceAddress): Promise<Sensitive<string>> {
  if (!to.token) throw unauthenticated();
  const { identity, close } = connectRotation(to);
  try {
    return sensitive((await patient(() => identity.renewIdentityToken({}))).token);
  } finally {
    close();
  }
}

async function verify(to: ServiceAddress): Promise<GetIdentityResponse> {
  const { identity, close } = connectRotation(to);
  try {
    return await patient(() => identity.getIdentity({}));
  } finally {
    close();
  }
}

function report(
  { output, clock }: CommandContext,
  { developer, role, tenantId, expiresAt }: GetIdentityResponse,
  path: string,
): void {
  const rank = roleToJSON(role).replace("ROLE_", "").toLowerCase();
  output.line(printable(`Authenticated as ${developer} (${rank}) in tenant ${tenantId}`));
  const end = expiresAt ? `expires ${relativeTime(expiresAt, clock.now())}` : "never expires";
  output.note(`Token ${end}; kept in ${path}`);
}
