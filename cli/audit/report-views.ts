import type { ChainReport } from "../../lib/audit/chain-report";
import { printable } from "../output/printable";
import { relativeTime } from "../output/relative-time";
import { type Style } from "../output/style";

/** What was found of one chain, for people. */
export function reportLines(report: ChainReport, style: Style, now: Date): string[] {
  const { service, end, signed, faults, faultCount, restores, unsealed } = report;
  const verdict =
    faultCount === 0
      ? style.green("unbroken")
      : style.red(`BROKEN in ${faultCount} place${faultCount === 1 ? "" : "s"}`);
  const lines = [`${service}: ${countWords(end.size)}, ${verdict}; ${signedWords(report, now)}`];
  for (const { message } of faults) lines.push(`  ${style.red("✗")} ${printable(message)}`);
  if (faultCount > faults.length) lines.push(`  … and ${faultCount - faults.length} more`);
  if (restores > 0)
    lines.push(
      `  the database was restored from a copy ${restores === 1 ? "once" : `${restores} times`}`,
    );
  if (report.unknownKeys.length > 0)
    lines.push(
      `  checkpoints by keys that are not known: ${printable(report.unknownKeys.join(", "))}`,
    );
  const tail = end.size - (signed?.size ?? 0n);
  if (tail > 0n) lines.push(`  not signed yet: the last ${countWords(tail)}`);
  if (unsealed.count > 0)
    lines.push(
      `  not sealed yet: ${countWords(BigInt(unsealed.count))} since ${printable(unsealed.oldest ?? "")}`,
    );
  return lines;
}

/** The same for machines. */
export function reportToJson(report: ChainReport) {
  const { service, tenantId, end, signed, restores, unsealed, faults } = report;
  return {
    ...{ service, tenant: tenantId, ok: report.faultCount === 0, records: end.size },
    head: end.hash.toString("hex"),
    signed: signed && { size: signed.size, time: signed.time, key_id: signed.keyId },
    checkpoints: report.checkpoints,
    unknown_keys: report.unknownKeys,
    ...{ restores, unsealed, fault_count: report.faultCount },
    faults: faults.map(({ kind, sequence, recordId, message }) => {
      return { kind, sequence, record_id: recordId, message };
    }),
  };
}

function countWords(count: bigint): string {
  return `${count.toString()} record${count === 1n ? "" : "s"}`;
}

function signedWords({ signed }: ChainReport, now: Date): string {
  if (!signed) return "not signed";
  return `signed at #${signed.size.toString()}, ${relativeTime(new Date(signed.time), now)}`;
}
