import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEnvFiles, type EnvFiles } from "../../services/vm-agent/env-set/env-files";
import { type RenderedSet } from "../../services/vm-agent/env-set/render";
import { prepareRunDir } from "../../services/vm-agent/env-set/run-dir";
import { type Owner, type SyncFs } from "../../services/vm-agent/env-set/sync-fs";

/** Another user than root's where there is a choice, so that giving files away is tested. */
export const agentOwner: Owner =
  process.geteuid?.() === 0
    ? { uid: 65534, gid: 65534 }
    : { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

/** A throw-away run directory, on tmpfs where the machine has one. */
export interface TestRunDir {
  base: string;
  agentsDirectory: string;
  /** Operations on it, as a daemon that was just started would have them. */
  start(fs?: SyncFs): EnvFiles;
  remove(): void;
}

export function createTestRunDir(): TestRunDir {
  const shm = lstatSync("/dev/shm", { throwIfNoEntry: false });
  const base = mkdtempSync(join(shm?.isDirectory() ? "/dev/shm" : tmpdir(), "murmur-env-"));
  const uid = process.geteuid?.() ?? 0;
  const { agentsDirectory } = prepareRunDir(`${base}/run`, uid);
  const started: EnvFiles[] = [];
  return {
    base,
    agentsDirectory,
    start(fs) {
      const files = createEnvFiles({ agentsDirectory, uid, ...(fs && { fs }) });
      started.push(files);
      return files;
    },
    remove() {
      for (const files of started) files.close();
      rmSync(base, { recursive: true, force: true });
    },
  };
}

/** A file as a reader finds it. */
export interface SeenFile {
  content: string;
  mode: number;
  uid: number;
}

/**
 * What stands in an agent's directory, looked at as a reader would who resolves `..data` once, and
 * without any code of the product. Undefined when nothing is in force.
 */
export function seenSet(agentDirectory: string): Map<string, SeenFile> | undefined {
  const data = readLinkOrUndefined(join(agentDirectory, "..data"));
  if (data === undefined) return undefined;
  const generation = join(agentDirectory, data);
  const files = new Map<string, SeenFile>();
  for (const path of readdirSync(generation, { recursive: true, encoding: "utf8" })) {
    const stat = lstatSync(join(generation, path));
    if (!stat.isFile() || path.startsWith(".")) continue;
    const content = readFileSync(join(generation, path), "latin1");
    files.set(path, { content, mode: stat.mode & 0o7777, uid: stat.uid });
  }
  return files;
}

/** What `seenSet` must show for a rendered set: everything, with the right owner and mode. */
export function expectedSet(rendered: RenderedSet): Map<string, SeenFile> {
  return new Map(
    rendered.files.map(({ path, content }) => [
      path,
      { content: content.expose().toString("latin1"), mode: 0o400, uid: agentOwner.uid },
    ]),
  );
}

/** Names in an agent's directory that are neither links for users, the page, nor generations. */
export function strayNames(agentDirectory: string): string[] {
  const ours =
    /^(\.\.data|\.\.g\d+-\w+|env|env\.sh|env\.json|env\.docker|files|generation|page|receipts)$/;
  return readdirSync(agentDirectory).filter((name) => !ours.test(name));
}

export function generationNames(agentDirectory: string): string[] {
  return readdirSync(agentDirectory).filter((name) => name.startsWith("..g"));
}

function readLinkOrUndefined(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
