import { isUtf8 } from "node:buffer";
import { isEnvName, type Entry, type EnvSet } from "./env-set";
import { EnvSetError } from "./env-set-error";

/** Where the set will stand, and whose it is. */
export interface Placement {
  /** The agent's directory, absolute: `MURMUR_DIR`. */
  directory: string;
  /** The agent's path of slugs: `MURMUR_AGENT`. Absent: the set's own, if it has one. */
  agent?: string;
  /** `MURMUR_WORKSPACE`. Absent: the set's own, if it has one. */
  workspace?: string;
}

/** An environment ready for the forms, and what no form may carry. */
export interface Environment {
  entries: Entry[];
  files: Entry[];
  unset: string[];
  unfit: { name: string; reason: string }[];
}

/** The whole environment of a set: its own names, `NAME_FILE` for files, and `MURMUR_*`. */
export function toEnvironment(set: EnvSet, placement: Placement): Environment {
  checkSet(set);
  const own = new Map<string, Uint8Array>();
  const files: Entry[] = [];
  const unfit: Environment["unfit"] = [];
  for (const variable of set.variables) {
    const value = variable.value.expose();
    if (variable.delivery === "file") files.push({ name: variable.name, value });
    else if (value.includes(0)) unfit.push({ name: variable.name, reason: "a NUL byte" });
    else if (!isUtf8(value)) unfit.push({ name: variable.name, reason: "not UTF-8" });
    else own.set(variable.name, value);
  }
  for (const [name, text] of derived(set, placement, files)) {
    if (own.has(name) && name.endsWith("_FILE") && !name.startsWith("MURMUR_")) {
      unfit.push({ name, reason: "the name is taken by a secret that is delivered by file" });
    }
    own.set(name, Buffer.from(text));
  }
  const entries = [...own].map(([name, value]) => ({ name, value })).sort(byName);
  const gone = [...set.unset, ...unfit.map(({ name }) => name)];
  const unset = [...new Set(gone)].filter((name) => !own.has(name)).sort();
  return { entries, files, unset, unfit };
}

function* derived(
  set: EnvSet,
  placement: Placement,
  files: readonly Entry[],
): Generator<[string, string]> {
  // Through the links, never the generation's own directory: that one is pruned later.
  for (const { name } of files) yield [`${name}_FILE`, `${placement.directory}/files/${name}`];
  if (placement.agent !== undefined) yield ["MURMUR_AGENT", placement.agent];
  if (placement.workspace !== undefined) yield ["MURMUR_WORKSPACE", placement.workspace];
  yield ["MURMUR_DIR", placement.directory];
  yield ["MURMUR_ENV_FILE", `${placement.directory}/env`];
  yield ["MURMUR_GENERATION", set.generation.toString()];
}

/** Names become file names and shell words, so they are checked here again, whoever sent them. */
function checkSet(set: EnvSet): void {
  if (set.generation < 1n) throw new EnvSetError("bad_set", "generation must be at least 1");
  const seen = new Set<string>();
  for (const { name } of set.variables) {
    if (!isEnvName(name)) throw new EnvSetError("bad_set", `bad name ${JSON.stringify(name)}`);
    if (seen.has(name)) throw new EnvSetError("bad_set", `name ${name} is there twice`);
    seen.add(name);
  }
  for (const name of set.unset) {
    if (!isEnvName(name)) throw new EnvSetError("bad_set", `bad name ${JSON.stringify(name)}`);
  }
}

function byName(a: Entry, b: Entry): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
