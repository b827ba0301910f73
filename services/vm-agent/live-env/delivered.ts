import { type Fingerprint, type LiveEntry, type LiveFile } from "./live-file";
import { siphash } from "./siphash";

/** How many values of one name are remembered: as many as an entry can count. */
export const REMEMBERED = 255;

export interface NextGeneration {
  generation: bigint;
  /** Sorted by name. */
  entries: readonly { name: string; value: Uint8Array }[];
  /** Used when there is no earlier file: 16 random bytes. */
  newKey: Uint8Array;
}

/**
 * The live file of a generation, which carries on what the one before it (if any) knows of values
 * and names that were delivered. The same generation over again gives the same file.
 */
export function nextLiveFile(before: LiveFile | undefined, next: NextGeneration): LiveFile {
  const key = before?.key ?? next.newKey;
  const known = new Map(before?.entries.map((entry) => [entry.name, entry]));
  const entries = next.entries.map(({ name, value }): LiveEntry => {
    const earlier = known.get(name);
    known.delete(name);
    const fingerprint = { bytes: value.length, hash: siphash(key, value) };
    return {
      name,
      value,
      since: earlier?.value ? earlier.since : next.generation,
      delivered: remember(fingerprint, earlier?.delivered ?? []),
    };
  });
  // What vanished stays known for good: a reader may skip generations.
  for (const { name, since, delivered } of known.values()) entries.push({ name, since, delivered });
  entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return { generation: next.generation, key, entries };
}

const NO_VALUE = new Uint8Array(0);

/** What has to be kept of a live file for the next one. */
export function withoutValues(file: LiveFile): LiveFile {
  const entries = file.entries.map((entry) =>
    entry.value ? { ...entry, value: NO_VALUE } : entry,
  );
  return { ...file, entries };
}

function remember(newest: Fingerprint, before: readonly Fingerprint[]): Fingerprint[] {
  const others = before.filter(({ bytes, hash }) => bytes !== newest.bytes || hash !== newest.hash);
  return [newest, ...others].slice(0, REMEMBERED);
}
