import type { Checkpoint } from "./checkpoint";
import { type ChainHead, type ChainId, EMPTY_CHAIN } from "./record";

export type FaultKind =
  | "changed"
  | "missing"
  | "reordered"
  | "inserted"
  | "truncated"
  | "rewritten"
  | "checkpoint"
  | "unsigned";

/** What is wrong, and with which record. */
export interface ChainFault {
  kind: FaultKind;
  /** Its place in the chain, or the first of several; undefined: it has none. */
  sequence: bigint | undefined;
  recordId: bigint | undefined;
  /** `record #17 was changed`. */
  message: string;
}

/** What became of looking at a whole chain. */
export interface ChainReport extends ChainId {
  /** How many links there are, and the last one's hash. */
  end: ChainHead;
  /** The newest checkpoint that is signed by a known key and fits. */
  signed: Checkpoint | undefined;
  checkpoints: number;
  /** Keys of checkpoints that are not known: nothing is concluded from these. */
  unknownKeys: string[];
  /** How often the database was restored from a copy. */
  restores: number;
  unsealed: { count: number; oldest: string | undefined };
  /** The first of them. */
  faults: ChainFault[];
  faultCount: number;
}

const MAX_FAULTS = 100;

/** Of a chain that nothing is known of yet. */
export function emptyReport({ service, tenantId }: ChainId): ChainReport {
  return {
    ...{ service, tenantId, end: EMPTY_CHAIN, signed: undefined, checkpoints: 0, unknownKeys: [] },
    ...{ restores: 0, unsealed: { count: 0, oldest: undefined }, faults: [], faultCount: 0 },
  };
}

export function addFault(
  report: ChainReport,
  kind: FaultKind,
  where: { sequence?: bigint; recordId?: bigint },
  message: string,
): void {
  report.faultCount += 1;
  if (report.faults.length < MAX_FAULTS)
    report.faults.push({ kind, sequence: where.sequence, recordId: where.recordId, message });
}

/** `record #3`, `records #3 to #7`. */
export function recordWords(first: bigint, last = first): string {
  return first === last
    ? `record #${first.toString()}`
    : `records #${first.toString()} to #${last.toString()}`;
}
