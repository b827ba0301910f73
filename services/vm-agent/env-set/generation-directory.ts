import { type Ownership } from "./agent-directory";
import { DIRECTORY_MODE, FILE_MODE, MANIFEST_FILE, temporaryName } from "./layout";
import { writePage } from "./page";
import { type PinnedDirectory } from "./pinned-directory";
import { type RenderedFile, type RenderedSet } from "./render";

/** A generation's own directory, and the names that are used on its way into force. */
export interface GenerationRef {
  ownership: Ownership;
  /** Of its directory. */
  name: string;
  /** Of its temporary names. */
  suffix: string;
}

/** A generation that is to be written. */
export interface Job extends GenerationRef {
  rendered: RenderedSet;
}

/** Writes a generation whole, into a directory that only the daemon may enter before `atEnd`. */
export function writeGeneration(
  directory: PinnedDirectory,
  { rendered, ownership, name }: Job,
  atEnd?: (generation: PinnedDirectory) => void,
): void {
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
    generation.createFile(MANIFEST_FILE, rendered.manifest, FILE_MODE);
    atEnd?.(generation);
  });
}

/** Lets the agent into its generation. */
export function admit(generation: PinnedDirectory, { ownership }: GenerationRef): void {
  generation.admit(ownership.directory, DIRECTORY_MODE);
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

/** Turns a link by one rename. */
export function turn(
  directory: PinnedDirectory,
  { suffix }: GenerationRef,
  link: { name: string; target: string },
): void {
  const temporary = temporaryName(suffix);
  directory.makeLink(temporary, link.target);
  directory.rename(temporary, link.name);
}

/** False when the page lags behind the set in force. */
export function tryWritePage(directory: PinnedDirectory, generation: bigint): boolean {
  try {
    writePage(directory, generation);
    return true;
  } catch {
    // The set is in force: a page that lags costs readers latency, a thrown error would deny it.
    return false;
  }
}

/** Removes what it can. Never fails: the caller's outcome is decided by now. */
export function discard(directory: PinnedDirectory, names: readonly string[]): void {
  for (const name of names) {
    try {
      directory.removeTree(name);
    } catch {
      // What stays costs nobody anything, and the next sweep removes it.
    }
  }
}
