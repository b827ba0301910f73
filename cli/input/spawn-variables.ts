import { type Environment } from "../../lib/config";
import { sensitive, type Sensitive } from "../../lib/sensitive";
import { UsageError } from "../errors";
import { type Terminal } from "../terminal";
import { readEnvFile } from "./read-env-file";

/** A value for one agent alone. */
export interface SpawnVariable {
  name: string;
  value: Sensitive<string>;
}

/** What `-e` and `--env-file` gave: of files the later wins, over them `-e`. */
export async function readSpawnVariables(
  terminal: Pick<Terminal, "env" | "stdin" | "cwd">,
  { texts, files }: { texts: readonly string[]; files: readonly string[] },
): Promise<SpawnVariable[]> {
  const typed = parseSpawnVariables(texts, terminal.env);
  const all = new Map<string, SpawnVariable>();
  for (const file of files)
    for (const { name, value } of await readEnvFile(terminal, file)) all.set(name, { name, value });
  for (const variable of typed) all.set(variable.name, variable);
  return [...all.values()];
}

/**
 * What `-e` gave: `NAME=VALUE`, the value being all that follows the first `=`; or `NAME`, whose
 * value is that of the caller's own environment, so that it shows in no list of processes. Whether
 * a name may be used is the catalog's to say; here it must only be one.
 */
export function parseSpawnVariables(texts: readonly string[], env: Environment): SpawnVariable[] {
  const variables = texts.map((text) => parseSpawnVariable(text, env));
  const names = variables.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`-e ${twice} is given twice`);
  return variables;
}

function parseSpawnVariable(text: string, env: Environment): SpawnVariable {
  const at = text.indexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  // The text is not repeated: it may be a value whose name was forgotten.
  if (name === "") throw new UsageError("-e must be NAME=VALUE");
  if (at >= 0) return { name, value: sensitive(text.slice(at + 1)) };
  const value = env[name];
  if (value === undefined)
    throw new UsageError("-e must be NAME=VALUE, or the name of a variable that is set here");
  return { name, value: sensitive(value) };
}
