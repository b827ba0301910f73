import type { ComingGeneration } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../../lib/clock";

/**
 * Keeps for a moment what the catalog sealed for VMs that have no stream here: one that is woken
 * otherwise asks within it, and then needs not ask the catalog, too.
 */
export interface Foretold {
  keep(vm: string, coming: readonly ComingGeneration[]): void;
  /** Gives out, once, what was kept for exactly these generations. */
  take(vm: string, desired: readonly DesiredGeneration[]): ComingGeneration[];
}

export interface DesiredGeneration {
  /** Of the agent. */
  id: string;
  desired: bigint;
}

interface Entry {
  coming: ComingGeneration;
  untilMs: number;
}

/** As long as a VM keeps what it was foretold. */
const KEEP_MS = 5_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** Only a generation that is newer than the kept one takes its place; the oldest go first. */
export function createForetold(clock: Pick<Clock, "monotonicMs">): Foretold {
  const entries = new Map<string, Entry>();
  let bytes = 0;
  const drop = (key: string) => {
    const entry = entries.get(key);
    if (!entry) return undefined;
    entries.delete(key);
    bytes -= entry.coming.sealedAhead.length;
    return entry.untilMs > clock.monotonicMs() ? entry.coming : undefined;
  };
  const trim = () => {
    for (const [key, { untilMs }] of entries) {
      if (bytes <= MAX_BYTES && untilMs > clock.monotonicMs()) return;
      drop(key);
    }
  };
  return {
    keep(vm, coming) {
      for (const one of coming) {
        const key = `${vm}/${one.agentId}`;
        const known = entries.get(key)?.coming;
        if (one.sealedAhead.length === 0 || (known && known.generation > one.generation)) continue;
        drop(key);
        entries.set(key, { coming: one, untilMs: clock.monotonicMs() + KEEP_MS });
        bytes += one.sealedAhead.length;
      }
      trim();
    },
    take(vm, desired) {
      return desired.flatMap(({ id, desired: generation }) => {
        const key = `${vm}/${id}`;
        if (entries.get(key)?.coming.generation !== generation) return [];
        return drop(key) ?? [];
      });
    },
  };
}
