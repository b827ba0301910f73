import type { Changes } from "./credential-changes";
import type { CredentialLease } from "./credential-lease";

/** Rows that are kept for as long as nothing can have changed them. */
export interface LeasedMemory<V> {
  /** What may be answered from now; undefined: the lease is over. */
  open(): OpenMemory<V> | undefined;
  /** Reads, and keeps what comes of it unless that may be out of date already. */
  keep<R>(read: () => Promise<R>, toKeep: (result: R) => Iterable<[string, V]>): Promise<R>;
}

export interface OpenMemory<V> {
  kept: ReadonlyMap<string, V>;
  /** By how much the database's clock is ahead of the monotonic one, at most. */
  databaseAheadMs: number;
}

/** `keysOf` says which keys some changes are about; beyond `maxKept` the oldest go. */
export function createLeasedMemory<V>(
  lease: CredentialLease,
  { keysOf, maxKept }: { keysOf: (changes: Changes) => readonly string[]; maxKept: number },
): LeasedMemory<V> {
  const kept = new Map<string, V>();
  lease.follow({
    onChanged: (changes) => {
      for (const key of keysOf(changes)) kept.delete(key);
    },
    onBroken: () => {
      kept.clear();
    },
  });
  const put = (key: string, value: V) => {
    const [oldest] = kept.keys();
    if (kept.size >= maxKept && oldest !== undefined) kept.delete(oldest);
    kept.set(key, value);
  };
  return {
    open() {
      const view = lease.view();
      return view && { kept, databaseAheadMs: view.databaseAheadMs };
    },
    async keep(read, toKeep) {
      const view = lease.view();
      const changes = view?.changes;
      const result = await read();
      // Read before a change that was noticed meanwhile, or before the view broke: it may be out of date.
      const now = lease.view();
      if (now && now === view && now.changes === changes)
        for (const [key, value] of toKeep(result)) put(key, value);
      return result;
    },
  };
}
