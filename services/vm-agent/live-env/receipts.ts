import type { ProcessInfo } from "../linux/proc";

/** By which of its parts a process follows its environment. */
export type LayerName = "exec" | "bash" | "node" | "python";

/** By the number that stands in a receipt, from 1. */
export const LAYERS: readonly LayerName[] = ["exec", "bash", "node", "python"];

/** What a process says of itself; it is its own word, believed for its own agent only. */
export interface Receipt {
  layer: LayerName;
  /** What the process last took over. */
  generation: bigint;
  /** Its next read sees a later generation by itself. */
  readsThrough: boolean;
  /** Some names are shown by the language only, not to code that calls getenv. */
  notAppliedNatively: boolean;
  /** When `generation` was first taken over. */
  firstUsedAt: Date | undefined;
  /** When the generation before it was last read, where the process can tell. */
  lastUsedBeforeAt: Date | undefined;
}

export const SLOT_BYTES = 64;
const SLOTS = 4096;
/** The process's own slot, and those that it takes when a living one has it. */
const PROBES = 8;
const READS_THROUGH = 1;
const NOT_NATIVELY = 2;

/**
 * The receipt of a process in the bytes of an agent's receipts file (README); undefined: it cannot
 * be told, as for one that has become another program since, into which no layer came. Bytes that make no sense are none: the agent's user can write anything there.
 */
export function findReceipt(
  file: Buffer,
  process: Pick<ProcessInfo, "pid" | "startTime" | "stackStart">,
): Receipt | undefined {
  for (let probe = 0; probe < PROBES; probe++) {
    const at = ((process.pid + probe) % SLOTS) * SLOT_BYTES;
    if (at + SLOT_BYTES > file.length) continue;
    const isOwn =
      file.readUInt32LE(at) === process.pid &&
      file.readBigUInt64LE(at + 8) === BigInt(process.startTime);
    if (!isOwn) continue;
    const isOfProgram = process.stackStart === 0 || stackOf(file, at) === process.stackStart;
    return isOfProgram ? decode(file, at) : undefined;
  }
  return undefined;
}

/** Below 2^48 on every processor. */
const stackOf = (file: Buffer, at: number) => Number(file.readBigUInt64LE(at + 56));

function decode(file: Buffer, at: number): Receipt | undefined {
  const layer = LAYERS[file.readUInt32LE(at + 4) - 1];
  const generation = file.readBigUInt64LE(at + 16);
  if (!layer || generation === 0n || generation > MAX_GENERATION) return undefined;
  const flags = file.readUInt32LE(at + 24);
  return {
    layer,
    generation,
    readsThrough: (flags & READS_THROUGH) !== 0,
    notAppliedNatively: (flags & NOT_NATIVELY) !== 0,
    firstUsedAt: toDate(file.readBigUInt64LE(at + 32)),
    lastUsedBeforeAt: toDate(file.readBigUInt64LE(at + 40)),
  };
}

const MAX_GENERATION = (1n << 63n) - 1n;
/** Year 2200: a garbled time is none. */
const MAX_NS = 7_258_118_400_000_000_000n;

function toDate(ns: bigint): Date | undefined {
  return ns === 0n || ns > MAX_NS ? undefined : new Date(Number(ns / 1_000_000n));
}
