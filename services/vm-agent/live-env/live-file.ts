/** A value that was delivered under a name, as its length and its keyed hash. */
export interface Fingerprint {
  bytes: number;
  hash: bigint;
}

/** One name of a live file: set to a value, or unset. */
export interface LiveEntry {
  name: string;
  /** Absent: the name is unset. */
  value?: Uint8Array;
  /** The generation in which the name appeared (again, if it had vanished). */
  since: bigint;
  /** Newest first; of every value ever delivered under the name, the present one included. */
  delivered: readonly Fingerprint[];
}

/** What the layers inside an agent's programs need to know of one generation (README). */
export interface LiveFile {
  generation: bigint;
  /** 16 bytes, for SipHash-2-4. */
  key: Uint8Array;
  /** Sorted by name. */
  entries: readonly LiveEntry[];
}

export const LIVE_MAGIC = "MURMURL1";
export const HEADER_BYTES = 40;
const ENTRY_HEADER_BYTES = 20;
export const FINGERPRINT_BYTES = 12;

/** The file's bytes; they hold values, so wipe them when they are written. */
export function encodeLiveFile({ generation, key, entries }: LiveFile): Buffer {
  const size = entries.reduce((sum, entry) => sum + sizeOf(entry), HEADER_BYTES);
  const file = Buffer.alloc(size);
  file.write(LIVE_MAGIC, 0, "latin1");
  file.writeBigUInt64LE(generation, 8);
  file.set(key.subarray(0, 16), 16);
  file.writeUInt32LE(entries.length, 32);
  file.writeUInt32LE(size, 36);
  let at = HEADER_BYTES;
  for (const entry of entries) at = writeEntry(file, at, entry);
  return file;
}

function sizeOf({ name, value, delivered }: LiveEntry): number {
  const text = Buffer.byteLength(name) + 1 + (value?.length ?? 0) + 1;
  return ENTRY_HEADER_BYTES + text + delivered.length * FINGERPRINT_BYTES;
}

function writeEntry(file: Buffer, start: number, entry: LiveEntry): number {
  const { name, value, since, delivered } = entry;
  file.writeUInt32LE(sizeOf(entry), start);
  file.writeUInt8(value ? 1 : 2, start + 4);
  file.writeUInt8(delivered.length, start + 5);
  file.writeUInt16LE(Buffer.byteLength(name), start + 6);
  file.writeUInt32LE(value?.length ?? 0, start + 8);
  file.writeBigUInt64LE(since, start + 12);
  let at = start + ENTRY_HEADER_BYTES;
  at += file.write(name, at) + 1;
  if (value) file.set(value, at);
  at += (value?.length ?? 0) + 1;
  for (const { bytes, hash } of delivered) {
    file.writeUInt32LE(bytes, at);
    file.writeBigUInt64LE(hash, at + 4);
    at += FINGERPRINT_BYTES;
  }
  return at;
}

/** Reads a live file back; undefined for anything that is none. Values are views into `bytes`. */
export function tryDecodeLiveFile(bytes: Uint8Array): LiveFile | undefined {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    if (file.toString("latin1", 0, 8) !== LIVE_MAGIC || file.readUInt32LE(36) !== file.length)
      return undefined;
    const entries: LiveEntry[] = [];
    let at = HEADER_BYTES;
    for (let left = file.readUInt32LE(32); left > 0; left--) {
      const entry = readEntry(file, at);
      entries.push(entry);
      at += sizeOf(entry);
    }
    const generation = file.readBigUInt64LE(8);
    return at === file.length ? { generation, key: file.subarray(16, 32), entries } : undefined;
  } catch {
    // An offset beyond the end.
    return undefined;
  }
}

function readEntry(file: Buffer, start: number): LiveEntry {
  const kind = file.readUInt8(start + 4);
  const count = file.readUInt8(start + 5);
  const nameBytes = file.readUInt16LE(start + 6);
  const valueBytes = file.readUInt32LE(start + 8);
  const nameAt = start + ENTRY_HEADER_BYTES;
  const valueAt = nameAt + nameBytes + 1;
  const delivered: Fingerprint[] = [];
  for (let i = 0, at = valueAt + valueBytes + 1; i < count; i++, at += FINGERPRINT_BYTES) {
    delivered.push({ bytes: file.readUInt32LE(at), hash: file.readBigUInt64LE(at + 4) });
  }
  return {
    name: file.toString("utf8", nameAt, nameAt + nameBytes),
    ...(kind === 1 ? { value: file.subarray(valueAt, valueAt + valueBytes) } : {}),
    since: file.readBigUInt64LE(start + 12),
    delivered,
  };
}
