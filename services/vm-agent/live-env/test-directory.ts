import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nextLiveFile } from "./delivered";
import { encodeLiveFile, type LiveFile } from "./live-file";
import type { CaseSet } from "./ownership-cases";

const RECEIPT_BYTES = 64;
const RECEIPT_SLOTS = 4096;

/** A receipt as a process left it (README). */
export interface TestReceipt {
  slot: number;
  pid: number;
  /** 1 exec, 2 bash, 3 node, 4 python. */
  layer: number;
  startTicks: bigint;
  generation: bigint;
  readsThrough: boolean;
  notAppliedNatively: boolean;
  firstConsumedNs: bigint;
  /** 0: cannot be told. */
  lastReadOfBeforeNs: bigint;
  /** 0: none. */
  generationBefore: bigint;
  stackStart: bigint;
}

/** An agent's directory for tests of the layers, made of the same bytes that the daemon writes. */
export interface TestDirectory {
  /** MURMUR_DIR; holds a space, as paths may. */
  path: string;
  /** Writes the generation beside the one in force, renames the link over it, then the page. */
  swap(set: CaseSet): void;
  /** Every receipt that was left, in the order of the slots. */
  receipts(): TestReceipt[];
  /** The receipt of a process; undefined when it left none. */
  receiptOf(pid: number): TestReceipt | undefined;
  /** Removes the directory, as when the agent ended. Twice is fine. */
  remove(): void;
}

/** Makes a directory in the system's temporary one, with these generations delivered in order. */
export function createTestDirectory(delivered: readonly CaseSet[]): TestDirectory {
  const root = mkdtempSync(join(tmpdir(), "murmur live-"));
  const path = join(root, "agent 1");
  mkdirSync(path);
  writeFileSync(join(path, "receipts"), Buffer.alloc(RECEIPT_SLOTS * RECEIPT_BYTES), {
    mode: 0o600,
  });
  const receipts = () => readReceipts(path);
  const swap = createSwap(path);
  for (const set of delivered) swap(set);
  return {
    path,
    swap,
    receipts,
    receiptOf: (pid) => receipts().find((receipt) => receipt.pid === pid),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

function createSwap(path: string) {
  const key = Buffer.from(Array.from({ length: 16 }, (_, i) => 7 * i + 1));
  let file: LiveFile | undefined;
  let swaps = 0;
  return ({ generation, set }: CaseSet): void => {
    const entries = Object.entries(set)
      .map(([name, value]) => ({ name, value: Buffer.from(value) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    file = nextLiveFile(file, { generation: BigInt(generation), entries, newKey: key });
    const name = `..g${String(generation)}-${String(++swaps)}`;
    mkdirSync(join(path, name));
    writeFileSync(join(path, name, "live"), encodeLiveFile(file), { mode: 0o400 });
    symlinkSync(name, join(path, "..new"));
    renameSync(join(path, "..new"), join(path, "..data"));
    const page = Buffer.alloc(8);
    page.writeBigUInt64LE(BigInt(generation));
    // In place: readers keep it open or mapped.
    writeFileSync(join(path, "page"), page, { flag: swaps === 1 ? "w" : "r+" });
  };
}

function readReceipts(path: string): TestReceipt[] {
  const all = readFileSync(join(path, "receipts"));
  const slots = Array.from({ length: Math.floor(all.length / RECEIPT_BYTES) }, (_, slot) => slot);
  return slots
    .map((slot) => readReceipt(all.subarray(slot * RECEIPT_BYTES), slot))
    .filter(({ pid }) => pid !== 0);
}

function readReceipt(bytes: Buffer, slot: number): TestReceipt {
  const flags = bytes.readUInt32LE(24);
  return {
    slot,
    pid: bytes.readUInt32LE(0),
    layer: bytes.readUInt32LE(4),
    startTicks: bytes.readBigUInt64LE(8),
    generation: bytes.readBigUInt64LE(16),
    readsThrough: (flags & 1) !== 0,
    notAppliedNatively: (flags & 2) !== 0,
    firstConsumedNs: bytes.readBigUInt64LE(32),
    lastReadOfBeforeNs: bytes.readBigUInt64LE(40),
    generationBefore: bytes.readBigUInt64LE(48),
    stackStart: bytes.readBigUInt64LE(56),
  };
}
