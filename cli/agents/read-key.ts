import { type Sensitive, sensitive } from "../../lib/sensitive";
import { type CommandContext } from "../command";
import { LocalError, UsageError } from "../errors";
import { hiddenPrompt } from "../input/hidden-prompt";
import { dropNewline, readStdin } from "../input/stdin";

/** Where the key of a command is looked for before it is asked for. */
export type KeyVariable = "MURMUR_NEW_KEY" | "MURMUR_CHECK_KEY";

/**
 * A provider key: from the first of these variables that is there, typed on the terminal without being
 * shown, or piped in. It stays in this process.
 */
export async function readProviderKey(
  { terminal }: Pick<CommandContext, "terminal">,
  variables: readonly [KeyVariable, ...KeyVariable[]],
  question: string,
): Promise<Sensitive<Buffer>> {
  const named = variables.find((name) => (terminal.env[name] ?? "") !== "");
  const isAsked = named === undefined && terminal.stdin.isTTY;
  const key = isAsked
    ? await hiddenPrompt(terminal, `${question}: `)
    : Buffer.from(terminal.env[named ?? ""] ?? dropNewline(await readStdin(terminal)));
  if (key.length === 0)
    throw new UsageError("no key was given", `Type it when asked, or set ${variables[0]}.`);
  // A hash of what was pasted with it would be another agent's, and nobody could tell why.
  if (key.some((byte) => byte <= 0x20 || byte === 0x7f))
    throw new LocalError(
      `the key${named === undefined ? "" : ` in ${named}`} has a space, a line break or a control character`,
      "Give the key alone.",
    );
  return sensitive(key);
}
