import { randomUUID } from "node:crypto";

/** The one link that a swap turns: whoever reads two files resolves it once. */
export const DATA_LINK = "..data";
/** The 8 bytes that readers map: little-endian, the generation in force, never going down. */
export const PAGE_FILE = "page";
export const PAGE_BYTES = 8;
/** Where processes say what they have consumed: slots of fixed size, which the agent's user writes. */
export const RECEIPTS_FILE = "receipts";
export const RECEIPTS_BYTES = 4096 * 64;
/** What running programs follow (live-env); opened below `..data` only, so no link leads to it. */
export const LIVE_FILE = "live";
/** What a generation is, written last into its directory; readable by the daemon only. */
export const MANIFEST_FILE = ".manifest";
/** Names that a user may see besides `page`; each a link through `..data`. */
export const VISIBLE_NAMES: readonly string[] = [
  "env",
  "env.sh",
  "env.json",
  "env.docker",
  "files",
  "generation",
];

export const DIRECTORY_MODE = 0o750;
export const FILE_MODE = 0o400;
export const PAGE_MODE = 0o640;
export const RECEIPTS_MODE = 0o600;

/** Whole generations that stay for readers that resolved `..data` earlier; the current included. */
export const KEPT_GENERATIONS = 3;

const GENERATION_DIRECTORY = /^\.\.g(\d+)-[0-9a-z]+$/;
const TEMPORARY = "..tmp-";

export function randomSuffix(): string {
  return randomUUID().slice(0, 8);
}

export function generationDirectory(generation: bigint, suffix: string): string {
  return `..g${generation.toString()}-${suffix}`;
}

/** The generation that a directory of this name holds, or undefined when it is no generation's. */
export function generationOf(name: string): bigint | undefined {
  const digits = GENERATION_DIRECTORY.exec(name)?.[1];
  return digits === undefined ? undefined : BigInt(digits);
}

/** The name by which users reach a file of a generation, or undefined when they do not. */
export function visibleName(path: string): string | undefined {
  return path === LIVE_FILE ? undefined : path.replace(/\/.*/, "");
}

/** A name for what is about to be renamed into place. */
export function temporaryName(suffix: string): string {
  return `${TEMPORARY}${suffix}`;
}

export function isTemporaryName(name: string): boolean {
  return name.startsWith(TEMPORARY);
}
