import { PAGE_BYTES, PAGE_FILE, PAGE_MODE, temporaryName } from "./layout";
import { type PinnedDirectory } from "./pinned-directory";
import { type Owner } from "./sync-fs";

/** The page's content: the generation, unsigned, little-endian. */
export function encodePage(generation: bigint): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  page.writeBigUInt64LE(generation);
  return page;
}

/** Makes the page, at generation 0, whole under another name first: readers map all 8 bytes. */
export function createPage(directory: PinnedDirectory, suffix: string, owner?: Owner): void {
  const temporary = temporaryName(suffix);
  directory.createFile(temporary, encodePage(0n), PAGE_MODE, owner);
  directory.rename(temporary, PAGE_FILE);
}

/** Overwrites the page in place, so that a reader's mapping shows the new generation. */
export function writePage(directory: PinnedDirectory, generation: bigint): void {
  directory.overwrite(PAGE_FILE, encodePage(generation));
}

/** The generation that the page shows, or undefined when there is no page or it is damaged. */
export function readPage(directory: PinnedDirectory): bigint | undefined {
  const page = directory.tryReadFile(PAGE_FILE, PAGE_BYTES)?.content;
  return page?.length === PAGE_BYTES ? page.readBigUInt64LE() : undefined;
}
