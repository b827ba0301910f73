import type { KeyObject } from "node:crypto";
import { addFault, type ChainReport, recordWords } from "./chain-report";
import { type Checkpoint, isSignedBy } from "./checkpoint";

/** Holds what a service signed against the chain that there is. */
export interface Witness {
  /** To be called when the walk has come to its size, or to the chain's end. */
  see(checkpoint: Checkpoint): void;
}

export function createWitness(
  report: ChainReport,
  findKey: (keyId: string) => KeyObject | undefined,
): Witness {
  const unknown = new Set<string>();
  const truncate = (size: bigint) => {
    const sequence = report.end.size + 1n;
    const message = `${recordWords(sequence, size)} missing: the chain ends before what was signed`;
    const known = report.faults.find(({ kind }) => kind === "truncated");
    if (known) known.message = message;
    else addFault(report, "truncated", { sequence }, message);
  };
  return {
    see(checkpoint) {
      report.checkpoints += 1;
      const { size, head, keyId } = checkpoint;
      const key = findKey(keyId);
      if (!key) {
        if (!unknown.has(keyId)) report.unknownKeys.push(keyId);
        unknown.add(keyId);
        return;
      }
      const where = { sequence: size };
      if (!isSignedBy(key, report, checkpoint)) {
        const message = `the checkpoint at #${size.toString()} is not signed by its key ${keyId}`;
        addFault(report, "checkpoint", where, message);
        return;
      }
      if (size > report.end.size) {
        truncate(size);
        return;
      }
      // Behind a gap there is nothing to compare with, and the gap is a fault.
      if (size < report.end.size) return;
      if (head.equals(report.end.hash)) {
        report.signed = checkpoint;
        return;
      }
      const first = (report.signed?.size ?? 0n) + 1n;
      const words = recordWords(first, size);
      const message = `${words}: rewritten, as they are not what was signed at ${checkpoint.time}`;
      addFault(report, "rewritten", { sequence: first }, message);
    },
  };
}
