import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { sensitive, type Sensitive } from "../../lib/sensitive";
import { type CommandContext, type Invocation } from "../command";
import { LocalError, UsageError } from "../errors";
import { hiddenPrompt } from "../input/hidden-prompt";
import { readStdin } from "../input/stdin";
import { isTokenLike } from "../input/token";

const API_KEY = "MURMUR_API_KEY";
const IS_API_KEY = /^mur_key_/;
/** What says where the credential comes from. */
const SOURCES = ["login", "renew", "api-key", "token-file"] as const;

/** Throws UsageError unless at most one place is named where the credential comes from. */
export function checkSources(call: Invocation): void {
  const named = SOURCES.filter((option) =>
    option === "login" || option === "renew" ? call.flag(option) : call.text(option) !== undefined,
  );
  if (named.length > 1) throw new UsageError(`--${named.join(" and --")} exclude each other`);
  const source = call.text("api-key");
  if (source !== undefined && source !== "-")
    throw new UsageError(
      "--api-key takes - alone, for standard input: others see what is typed on a command line",
      `Pipe the key in, or set ${API_KEY}. If that was a key, rotate it: your shell has kept it.`,
    );
}

/** The identity token or API key that was given, from where was named. Throws LocalError. */
export async function readCredential(
  context: CommandContext,
  call: Invocation,
): Promise<Sensitive<string>> {
  const { terminal } = context;
  const isKey = call.text("api-key") !== undefined;
  const file = call.text("token-file");
  const named = terminal.env[API_KEY];
  if (isKey) return toCredential(await ask(terminal, "API key: "), true);
  if (file !== undefined) return toCredential(readTokenFile(resolve(terminal.cwd, file)), false);
  if (named) return toCredential(Buffer.from(named), true);
  return toCredential(await ask(terminal, "Identity token or API key: "), false);
}

function toCredential(bytes: Buffer, isKey: boolean): Sensitive<string> {
  const token = bytes.toString("utf8").trim();
  if (isTokenLike(token) && (!isKey || IS_API_KEY.test(token))) return sensitive(token);
  throw new LocalError(`that is no ${isKey ? "" : "identity token or "}API key`);
}

function ask(terminal: CommandContext["terminal"], question: string): Promise<Buffer> {
  return terminal.stdin.isTTY ? hiddenPrompt(terminal, question) : readStdin(terminal);
}

function readTokenFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new LocalError(`cannot read ${path} (${code})`);
  }
}
