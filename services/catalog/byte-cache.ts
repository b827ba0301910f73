/** Remembers byte strings by key up to a total size; the least recently used goes first. */
export interface ByteCache {
  get(key: string): Buffer | undefined;
  set(key: string, bytes: Buffer): void;
}

const ENTRY_OVERHEAD_BYTES = 200;

/** An LRU for what never changes under its key, such as the ciphertext of a secret's version. */
export function createByteCache(maxBytes: number): ByteCache {
  const entries = new Map<string, Buffer>();
  let totalBytes = 0;
  const costOf = (key: string, bytes: Buffer) => key.length + bytes.length + ENTRY_OVERHEAD_BYTES;
  const remove = (key: string, bytes: Buffer) => {
    entries.delete(key);
    totalBytes -= costOf(key, bytes);
  };
  return {
    get(key) {
      const bytes = entries.get(key);
      if (!bytes) return undefined;
      entries.delete(key); // A Map keeps the order of insertion: the oldest use is the first entry.
      entries.set(key, bytes);
      return bytes;
    },
    set(key, bytes) {
      const old = entries.get(key);
      if (old) remove(key, old);
      if (costOf(key, bytes) > maxBytes) return;
      entries.set(key, bytes);
      totalBytes += costOf(key, bytes);
      for (const [oldest, held] of entries) {
        if (totalBytes <= maxBytes) break;
        remove(oldest, held);
      }
    },
  };
}
