import {
  type EnvFilesContext,
  type Ownership,
  ownershipFor,
  useOrMakeAgent,
} from "./agent-directory";
import { EnvSetError, toEnvSetError } from "./env-set-error";
import {
  DATA_LINK,
  DIRECTORY_MODE,
  FILE_MODE,
  generationDirectory,
  MANIFEST_FILE,
  PAGE_FILE,
  temporaryName,
  VISIBLE_NAMES,
} from "./layout";
import { encodeManifest, toManifest } from "./manifest";
import { createPage, writePage } from "./page";
import { type PinnedDirectory } from "./pinned-directory";
import { type RenderedFile, type RenderedSet } from "./render";
import { type Owner } from "./sync-fs";

/** What a swap did. */
export interface SwapResult {
  /** The new generation's own directory, absolute. */
  directory: string;
  /** False when the set is in force but the page could not be written; `sweep` mends it. */
  isPageWritten: boolean;
}

interface Job {
  rendered: RenderedSet;
  ownership: Ownership;
  name: string;
  suffix: string;
}

/** What the directories, links and inodes of one generation cost besides the files' blocks. */
const OVERHEAD_BYTES = 64 * 1024;
const BLOCK_BYTES = 4096;

/**
 * Puts a generation in force by one rename of a link over `..data` (the kubelet's AtomicWriter
 * recipe). Readers see the whole old set or the whole new one, also when the process dies between
 * any two system calls. When it throws EnvSetError the old set is whole and in force, and what was
 * written of the new one is removed. Repeating it with the same set repairs what was damaged.
 */
export function swap(context: EnvFilesContext, rendered: RenderedSet, owner: Owner): SwapResult {
  const suffix = context.suffix();
  const name = generationDirectory(rendered.generation, suffix);
  const ownership = ownershipFor(context, owner);
  const job: Job = { rendered, ownership, name, suffix };
  const { agentId } = rendered;
  try {
    return useOrMakeAgent(context, { agentId, owner: ownership.directory }, (directory) => {
      requireSpace(directory, rendered);
      const names = directory.list();
      writeOrDiscard(directory, job, names);
      removeStaleLinks(directory, rendered, names);
      return {
        directory: `${context.agentsDirectory}/${agentId}/${name}`,
        isPageWritten: tryWritePage(directory, rendered.generation),
      };
    });
  } catch (error) {
    throw toEnvSetError(error, `agent ${agentId}, generation ${rendered.generation.toString()}`);
  }
}

/** Checked first, since a full tmpfs is otherwise found out half-way, file by file. */
function requireSpace(directory: PinnedDirectory, { files }: RenderedSet): void {
  const needed = files.reduce(
    (sum, { content }) => sum + Math.ceil(content.expose().length / BLOCK_BYTES) * BLOCK_BYTES,
    OVERHEAD_BYTES,
  );
  if (directory.freeBytes() >= needed) return;
  throw new EnvSetError("no_space", `${directory.label}: less than ${needed} bytes are free`);
}

/** Everything up to and including the rename; on failure nothing of it stays. */
function writeOrDiscard(directory: PinnedDirectory, job: Job, names: readonly string[]): void {
  try {
    writeGeneration(directory, job);
    ensureLinks(directory, job, names);
    if (!names.includes(PAGE_FILE)) createPage(directory, job.suffix, job.ownership.directory);
    turn(directory, job, { name: DATA_LINK, target: job.name });
  } catch (error) {
    discard(directory, [temporaryName(job.suffix), job.name]);
    throw error;
  }
}

function writeGeneration(directory: PinnedDirectory, { rendered, ownership, name }: Job): void {
  directory.makeDirectory(name);
  directory.useChild(name, (generation) => {
    const isBelow = ({ path }: RenderedFile): boolean => path.startsWith("files/");
    writeFiles(
      generation,
      rendered.files.filter((file) => !isBelow(file)),
      ownership,
    );
    const below = rendered.files.filter(isBelow);
    if (below.length > 0) {
      generation.makeDirectory("files");
      generation.useChild("files", (files) => {
        writeFiles(files, below, ownership);
        files.admit(ownership.directory, DIRECTORY_MODE);
      });
    }
    generation.createFile(MANIFEST_FILE, encodeManifest(toManifest(rendered)), FILE_MODE);
    // Last: until here nobody but the daemon could even enter.
    generation.admit(ownership.directory, DIRECTORY_MODE);
  });
}

function writeFiles(
  directory: PinnedDirectory,
  files: readonly RenderedFile[],
  ownership: Ownership,
): void {
  for (const { path, content } of files) {
    const name = path.slice(path.indexOf("/") + 1);
    directory.createFile(name, content.expose(), FILE_MODE, ownership.file);
  }
}

/** Before the rename, so that a first set appears under all its names at once. */
function ensureLinks(directory: PinnedDirectory, job: Job, names: readonly string[]): void {
  for (const name of visibleNames(job.rendered)) {
    const target = `${DATA_LINK}/${name}`;
    if (!names.includes(name)) directory.makeLink(name, target);
    else if (directory.readLink(name) !== target) turn(directory, job, { name, target });
  }
}

/** Turns a link by one rename. A directory under its name is not ours and gives way. */
function turn(
  directory: PinnedDirectory,
  { suffix }: Job,
  link: { name: string; target: string },
): void {
  const temporary = temporaryName(suffix);
  directory.makeLink(temporary, link.target);
  if (directory.kindOf(link.name) === "directory") directory.removeTree(link.name);
  directory.rename(temporary, link.name);
}

function removeStaleLinks(
  directory: PinnedDirectory,
  rendered: RenderedSet,
  names: readonly string[],
): void {
  const wanted = visibleNames(rendered);
  for (const name of VISIBLE_NAMES) {
    if (names.includes(name) && !wanted.has(name)) directory.removeTree(name);
  }
}

function visibleNames({ files }: RenderedSet): Set<string> {
  return new Set(files.map(({ path }) => path.split("/", 1)[0] ?? path));
}

function tryWritePage(directory: PinnedDirectory, generation: bigint): boolean {
  try {
    writePage(directory, generation);
    return true;
  } catch {
    // The set is in force: a page that lags costs readers latency, a thrown error would deny it.
    return false;
  }
}

function discard(directory: PinnedDirectory, names: readonly string[]): void {
  for (const name of names) {
    try {
      directory.removeTree(name);
    } catch {
      // The first failure is the one to report; what stays here the next sweep removes.
    }
  }
}
