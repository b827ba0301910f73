import type { KeyObject } from "node:crypto";
import { addFault, type ChainReport, emptyReport, recordWords } from "./chain-report";
import { type ChainLink, createChainWalk } from "./chain-walk";
import type { Checkpoint } from "./checkpoint";
import { type AuditRecord, type ChainId, isBefore } from "./record";
import { createWitness } from "./witness";

/** Up to which record a service says that it has sealed all. */
export type SealedThrough = Pick<AuditRecord, "transactionId" | "recordId">;

/** A chain as it is read, in pages or from anywhere else, while it may grow. */
export interface ChainReader {
  /** Those behind a sequence, in order. */
  links(after: bigint): AsyncIterable<ChainLink>;
  /** By size; read beside the links. */
  checkpoints(): AsyncIterable<Checkpoint>;
  /** What no link seals; read last. */
  unsealed(): AsyncIterable<{ record: AuditRecord; sealedThrough: SealedThrough }>;
}

export interface VerifyOptions {
  chain: ChainId;
  reader: ChainReader;
  findKey: (keyId: string) => KeyObject | undefined;
  /** Checkpoints from elsewhere, such as earlier readings: what they vouch for has to be there. */
  known?: readonly Checkpoint[];
  now: Date;
}

/** Links are signed within seconds: older ones that are not signed may be anybody's. */
const UNSIGNED_MS = 60_000;

/**
 * Looks at every record of a chain and says what does not fit: to the hashes, to the order, to the
 * states that the service has signed. Trusts the keys alone; needs memory for one page. Rejects only
 * with what the reader does.
 */
export async function verifyChain(options: VerifyOptions): Promise<ChainReport> {
  const { chain, reader, known = [], now } = options;
  const report = emptyReport(chain);
  const walk = createChainWalk(report);
  const witness = createWitness(report, options.findKey);
  const checkpoints = mergeBySize(known, reader.checkpoints());
  let unsignedSince: string | undefined;

  let next = await checkpoints.next();
  const follow = async (link: ChainLink) => {
    walk.follow(link);
    unsignedSince ??= link.record?.time;
    for (; next.done !== true && next.value.size <= link.sequence; next = await checkpoints.next())
      witness.see(next.value);
    if (report.signed?.size === link.sequence) unsignedSince = undefined;
  };
  for (;;) {
    const before = report.end.size;
    for await (const link of reader.links(before)) await follow(link);
    // What was signed is there, in the end; more may have come while the links were read.
    if (next.done === true || report.end.size === before) break;
  }
  for (; next.done !== true; next = await checkpoints.next()) witness.see(next.value);
  judgeUnsigned(report, unsignedSince, now);
  await seeUnsealed(report, reader);
  return report;
}

/** Both by size; of the stored ones one page at a time is in memory. */
async function* mergeBySize(
  known: readonly Checkpoint[],
  stored: AsyncIterable<Checkpoint>,
): AsyncGenerator<Checkpoint, undefined> {
  const waiting = [...known].sort((a, b) => Number(a.size - b.size));
  for await (const checkpoint of stored) {
    while (waiting[0] && waiting[0].size <= checkpoint.size) yield* waiting.splice(0, 1);
    yield checkpoint;
  }
  yield* waiting;
  return undefined;
}

function judgeUnsigned(report: ChainReport, since: string | undefined, now: Date): void {
  if (since === undefined || now.getTime() - Date.parse(since) < UNSIGNED_MS) return;
  const sequence = (report.signed?.size ?? 0n) + 1n;
  const words = recordWords(sequence, report.end.size);
  addFault(report, "unsigned", { sequence }, `${words}: no valid checkpoint vouches for this`);
}

async function seeUnsealed(report: ChainReport, reader: ChainReader): Promise<void> {
  for await (const { record, sealedThrough } of reader.unsealed()) {
    report.unsealed.count += 1;
    report.unsealed.oldest ??= record.time;
    if (isBefore(sealedThrough, record)) continue;
    const { recordId } = record;
    const message = `record id ${recordId.toString()} was inserted: its place is sealed without it`;
    addFault(report, "inserted", { recordId }, message);
  }
}
