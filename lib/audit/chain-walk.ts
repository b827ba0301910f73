import { addFault, type ChainReport, recordWords } from "./chain-report";
import { type AuditRecord, EMPTY_CHAIN, isBefore, linkHash } from "./record";

/** One link as it is stored; whoever stores it is not trusted. */
export interface ChainLink {
  sequence: bigint;
  epoch: number;
  hash: Buffer;
  recordId: bigint;
  /** Absent: it is gone. */
  record: AuditRecord | undefined;
}

/** Follows a chain link by link, and notes in the report what does not fit. */
export interface ChainWalk {
  follow(link: ChainLink): void;
}

export function createChainWalk(report: ChainReport): ChainWalk {
  let epoch = 0;
  let lastRecord: AuditRecord | undefined;
  /** Undefined behind a gap: what comes next cannot be compared. */
  let previous: Buffer | undefined = EMPTY_CHAIN.hash;

  const compare = (link: ChainLink, record: AuditRecord): void => {
    const { sequence } = link;
    const where = { sequence, recordId: record.recordId };
    const isEarlier = link.epoch === epoch && lastRecord && isBefore(record, lastRecord);
    if (link.epoch < epoch || isEarlier) {
      addFault(report, "reordered", where, `${recordWords(sequence)} is not in its place`);
      return;
    }
    if (!previous) return;
    if (linkHash(report, link, previous, record).equals(link.hash)) return;
    const orLink = sequence > 1n ? `, or the link before it was` : "";
    addFault(report, "changed", where, `${recordWords(sequence)} was changed${orLink}`);
  };
  return {
    follow(link) {
      const { sequence, record, recordId } = link;
      const expected = report.end.size + 1n;
      if (sequence !== expected) {
        const words = recordWords(expected, sequence - 1n);
        addFault(report, "missing", { sequence: expected }, `${words} missing: no link is there`);
        previous = undefined;
      }
      if (record) compare(link, record);
      else {
        const what = `${recordWords(sequence)} is missing (record id ${recordId.toString()})`;
        addFault(report, "missing", { sequence, recordId }, what);
      }
      if (epoch > 0 && link.epoch > epoch) report.restores += 1;
      epoch = Math.max(epoch, link.epoch);
      lastRecord = record ?? lastRecord;
      previous = link.hash;
      report.end = { size: sequence, hash: link.hash };
    },
  };
}
