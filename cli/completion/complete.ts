import { type Candidates, type CommandSyntax, type OptionSyntax } from "../command";

/** Finds what exists of a kind: names of secrets, slugs, and so on. */
export type Lookup = (kind: string) => Promise<readonly string[]>;

/**
 * What the last of these words can become. Anything that a shell could take for more than a word
 * is left out, since candidates come from elsewhere.
 */
export async function complete(
  commands: readonly CommandSyntax[],
  words: readonly string[],
  lookup: Lookup,
): Promise<string[]> {
  const done = words.slice(0, -1);
  const partial = words.at(-1) ?? "";
  const candidates = await candidatesFor(commands, done, partial, lookup);
  return [...new Set(candidates)]
    .filter((word) => word.startsWith(partial) && /^[\w./:@+-]+$/.test(word))
    .sort();
}

async function candidatesFor(
  commands: readonly CommandSyntax[],
  done: readonly string[],
  partial: string,
  lookup: Lookup,
): Promise<readonly string[]> {
  if (done.includes("--")) return [];
  const command = commands
    .filter(({ path }) => path.every((name, index) => done[index] === name))
    .sort((a, b) => b.path.length - a.path.length)[0];
  const options = command?.options ?? [];
  const open = options.find(
    (option) => takesValue(option) && names(option).includes(done.at(-1) ?? ""),
  );
  if (open) return resolve(open.candidates, done, lookup);
  if (partial.startsWith("-")) return [...options.flatMap(names), "--help"];
  const children = childNames(commands, done);
  const argument = command?.args[countArguments(command, done)];
  return [...children, ...(await resolve(argument?.candidates, done, lookup))];
}

/** Names that stand where the next word does, such as `ls` after `secret`. */
function childNames(commands: readonly CommandSyntax[], done: readonly string[]): string[] {
  return commands
    .filter(({ path }) => path.length > done.length && done.every((word, i) => path[i] === word))
    .map(({ path }) => path[done.length] ?? "");
}

function countArguments({ path, options }: CommandSyntax, done: readonly string[]): number {
  const valued = options.filter(takesValue).flatMap(names);
  return done
    .slice(path.length)
    .filter(
      (word, index, words) => !word.startsWith("-") && !valued.includes(words[index - 1] ?? ""),
    ).length;
}

function takesValue({ flags }: OptionSyntax): boolean {
  return flags.includes("<");
}

function names({ flags }: OptionSyntax): string[] {
  return flags.match(/(?<=^|, )--?[\w-]+/g) ?? [];
}

async function resolve(
  candidates: Candidates | undefined,
  done: readonly string[],
  lookup: Lookup,
): Promise<readonly string[]> {
  if (candidates === undefined) return [];
  if (candidates === "resource") return lookup(done.at(-1) ?? "");
  return typeof candidates === "string" ? lookup(candidates) : candidates;
}
