import { type Run } from "../command";
import { findLogin, type Login } from "../credentials/find-credential";
import { USUAL_GIT } from "../credentials/usual-credentials";
import { LocalError } from "../errors";
import { readStdin } from "../input/stdin";
import { readHostCredentials } from "../vm-side/own-values";

/**
 * A credential helper of git (gitcredentials(7)): what it is asked for on standard input, answered
 * on standard output, both as `key=value` lines. It answers nothing for hosts that it does not know,
 * and git then asks elsewhere. `store` and `erase` are not for it, as other operations of later gits.
 */
export const run: Run = async ({ terminal }, call) => {
  if (call.arg("operation") !== "get") return;
  const asked = parseLines((await readStdin(terminal)).toString("utf8"));
  const host = hostOf(asked);
  if (host === undefined) return;
  const { git: said } = await readHostCredentials(terminal.env);
  const login = await findLogin(terminal.env, { said, usual: USUAL_GIT }, host);
  if (login && mayUse(asked.get("username"), login, said.has(host)))
    terminal.stdout.write(toLines(login, asked.get("username")));
};

/** A token over plain HTTP is for everybody on the way: such a host has to be named with it. */
function hostOf(asked: ReadonlyMap<string, string>): string | undefined {
  const host = asked.get("host")?.toLowerCase();
  if (!host) return undefined;
  if (asked.get("protocol") === "https") return host;
  return asked.get("protocol") === "http" ? `http://${host}` : undefined;
}

/** An account that was named in the URL is another's, where the secret is said to be for one. */
function mayUse(asked: string | undefined, { username }: Login, wasSaid: boolean): boolean {
  return asked === undefined || !wasSaid || asked === username;
}

function parseLines(text: string): ReadonlyMap<string, string> {
  const lines = text.split("\n").filter((line) => line.includes("="));
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

function toLines({ username, password }: Login, asked: string | undefined): Buffer {
  const value = password.expose();
  if (value.includes("\n") || value.includes(0))
    throw new LocalError("the secret has a newline or a NUL byte, which git cannot take");
  const name = asked ?? username;
  return Buffer.concat([Buffer.from(`username=${name}\npassword=`), value, Buffer.from("\n")]);
}
