import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { InstalledLayers } from "../live-env/launch";
import { errnoOf } from "../linux/errno";

/** Where an agent's directory is and which layers its programs have; no value. */
export interface NamedAgent {
  workspace: string;
  /** `parent/child`. */
  path: string;
  envDir: string;
  /** Absent: none work here. */
  layers?: InstalledLayers | undefined;
  layersOff?: readonly string[] | undefined;
}

/**
 * Tells `murmur exec --agent` outside of agents by which directory an agent is meant:
 * `<run dir>/names/<workspace>/<path>/.agent` has three lines, MURMUR_DIR, MURMUR_LIVE_DIR and
 * MURMUR_LIVE. Who knows a name can read it; whether the set can be read is up to its own file.
 */
export interface AgentNames {
  /** Says it once; the same again costs nothing. A name that cannot be a path is left out. */
  put(agent: NamedAgent): void;
  /** Forgets the name that leads to this directory. */
  remove(envDir: string): void;
}

const FILE = ".agent";
const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o711;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,62})$/;

/** Opens `<runDir>/names`, and forgets the names that an earlier daemon left and `isKnown` denies. */
export function createAgentNames(
  runDir: string,
  isKnown: (agentId: string) => boolean,
): AgentNames {
  const root = join(runDir, "names");
  mkdirSync(root, { recursive: true });
  chmodSync(root, 0o755);
  /** MURMUR_DIR → file and its text. */
  const names = new Map<string, { file: string; text: string }>();
  const remove = (envDir: string) => {
    const file = names.get(envDir)?.file;
    names.delete(envDir);
    // A later agent of the same name may have taken it over.
    if (file === undefined || envDirOf(readOr(file)) !== envDir) return;
    rmSync(file, { force: true });
    removeEmpty(dirname(file), root);
  };
  for (const found of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    if (basename(found) !== FILE) continue;
    const file = join(root, found);
    open(dirname(found), root);
    chmodSync(file, FILE_MODE);
    const text = readOr(file);
    names.set(envDirOf(text), { file, text });
  }
  for (const envDir of [...names.keys()]) if (!isKnown(basename(envDir))) remove(envDir);
  return {
    put(agent) {
      const labels = [agent.workspace, ...agent.path.split("/")];
      if (!labels.every((label) => LABEL.test(label))) return;
      const file = join(root, ...labels, FILE);
      const text = textOf(agent);
      if (names.get(agent.envDir)?.text === text) return;
      mkdirSync(dirname(file), { recursive: true });
      open(join(...labels), root);
      const fresh = `${file}.tmp`;
      writeFileSync(fresh, text);
      chmodSync(fresh, FILE_MODE);
      renameSync(fresh, file);
      names.set(agent.envDir, { file, text });
    },
    remove,
  };
}

/** Lets everyone through the directories on this way below the root, whatever the umask was. */
function open(way: string, root: string): void {
  for (let each = way; each !== "."; each = dirname(each))
    chmodSync(join(root, each), DIRECTORY_MODE);
}

function textOf({ envDir, layers, layersOff = [] }: NamedAgent): string {
  const on = layers?.works.filter((layer) => !layersOff.includes(layer)) ?? [];
  return `${envDir}\n${on.length > 0 ? (layers?.directory ?? "") : ""}\n${on.join()}\n`;
}

function envDirOf(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

function readOr(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "";
    throw error;
  }
}

/** Up to the root, as far as nothing else is in there. */
function removeEmpty(directory: string, root: string): void {
  for (let each = directory; each !== root; each = dirname(each)) {
    if (readdirSync(each).length > 0) return;
    rmSync(each, { recursive: true });
  }
}
