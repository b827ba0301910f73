import { existsSync } from "node:fs";
import { join } from "node:path";
import { type GetIdentityResponse } from "../../gen/murmur/rotation/v1/identity";
import { unauthenticated } from "../../lib/errors";
import { sensitive, type Sensitive } from "../../lib/sensitive";
import { checkSources, readCredential } from "../auth/read-credential";
import { endWords, identityWords } from "../auth/views";
import { type CommandContext, type Invocation, type Run } from "../command";
import { findLocalConfig, LOCAL_CONFIG, readLocalConfig } from "../config/local-config";
import { writeLocalConfig } from "../config/write-local-config";
import { type ServiceAddress } from "../connect";
import { connectRotation, type Rotation } from "../connect-rotation";
import { LocalError, UsageError } from "../errors";
import { isAddress } from "../input/address";
import { printable } from "../output/printable";
import { patient } from "../patient";
import { traceParent } from "../trace-parent";

export const run: Run = async (context, call) => {
  for (const option of ["catalog", "rotation"]) checkAddress(option, call.text(option));
  checkSources(call);
  const path = pathToWrite(context);
  const config = await readLocalConfig(existsSync(path) ? path : undefined);
  const address = call.text("rotation") ?? config.rotation;
  if (address === undefined)
    throw new UsageError("rotation's address is not known", "Give --rotation HOST:PORT.");
  const traceparent = traceParent(context.terminal.env);
  const present = { address, token: config.token, caFile: config.caFile, traceparent };
  const tenant = call.text("tenant");
  const token = await obtain(context, call, present, tenant ?? config.tenant);
  const identity = await at({ ...present, token }, (rotation) =>
    patient(() => rotation.identity.getIdentity({})),
  );
  if (tenant !== undefined && tenant !== identity.tenantId)
    throw new LocalError(`the token is for tenant "${identity.tenantId}", not "${tenant}"`);
  writeLocalConfig(path, {
    catalog: call.text("catalog"),
    rotation: call.text("rotation"),
    // An operator is in none: what stood there stays.
    tenant: identity.isOperator ? undefined : identity.tenantId,
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

function obtain(
  context: CommandContext,
  call: Invocation,
  present: ServiceAddress,
  tenant: string | undefined,
): Promise<Sensitive<string>> {
  if (call.flag("renew")) return renew(present);
  if (call.flag("login")) return signIn(context, { ...present, token: undefined }, tenant);
  return readCredential(context, call);
}

async function renew(to: ServiceAddress): Promise<Sensitive<string>> {
  if (!to.token) throw unauthenticated();
  const { token } = await at(to, ({ identity }) => patient(() => identity.renewIdentityToken({})));
  return sensitive(token);
}

/** At the provider, then with what that says at rotation; over a new connection, since people take their time. */
async function signIn(
  { output }: CommandContext,
  to: ServiceAddress,
  tenantId = "",
): Promise<Sensitive<string>> {
  const how = await at(to, ({ identity }) => patient(() => identity.getSignIn({})));
  const { deviceLogin } = await import("../sign-in/device-login.js");
  const { idToken, nonceSecret } = await deviceLogin(how, ({ url, code }) => {
    output.note(printable(`Open ${url}`));
    output.note(printable(`and check that it shows the code ${code}`));
  });
  const request = { idToken: idToken.expose(), nonceSecret: nonceSecret.expose(), tenantId };
  const { token } = await at(to, ({ identity }) => identity.exchangeToken(request));
  return sensitive(token);
}

async function at<T>(to: ServiceAddress, ask: (rotation: Rotation) => Promise<T>): Promise<T> {
  const rotation = connectRotation(to);
  try {
    return await ask(rotation);
  } finally {
    rotation.close();
  }
}

function report(
  { output, clock }: CommandContext,
  identity: GetIdentityResponse,
  path: string,
): void {
  output.line(printable(`Authenticated as ${identityWords(identity)}`));
  output.note(`Token ${endWords(identity, clock.now())}; kept in ${path}`);
}
