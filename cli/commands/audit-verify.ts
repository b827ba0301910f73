import type { ChainReport } from "../../lib/audit/chain-report";
import { verifyChain } from "../../lib/audit/verify-chain";
import { rawPublicKey } from "../../lib/identity/signing-key";
import { findKeys } from "../audit/find-keys";
import { type KeptCheckpoint, readKept, writeKept } from "../audit/kept-checkpoints";
import { createRemoteChainReader } from "../audit/remote-chain";
import { reportLines, reportToJson } from "../audit/report-views";
import { type AuditedService, auditedServices } from "../audit/services";
import { type CommandContext, type Run } from "../command";
import { LocalError } from "../errors";
import { patient } from "../patient";

interface Options {
  keySetFile: string | undefined;
  kept: readonly KeptCheckpoint[];
}

export const run: Run = async (context, call) => {
  const { output } = context;
  const keySetFile = call.text("key-set");
  const file = call.text("checkpoints");
  const kept = file === undefined ? [] : readKept(file);
  const reports: ChainReport[] = [];
  const next: KeptCheckpoint[] = [];
  for (const service of await auditedServices(context, call)) {
    const { report, newest } = await verify(context, service, { keySetFile, kept });
    reports.push(report);
    if (newest) next.push(newest);
    if (!call.flag("json")) output.lines(reportLines(report, output.style, context.clock.now()));
  }
  if (call.flag("json"))
    output.json({ ok: reports.every(isWhole), chains: reports.map(reportToJson) });
  else if (keySetFile === undefined && reports.some(({ checkpoints }) => checkpoints > 0))
    output.note("The keys are the services' own word; --key-set FILE takes yours.");
  const [broken] = reports.filter((report) => !isWhole(report));
  if (broken)
    throw new LocalError(`the audit of ${broken.service} is broken: ${firstFault(broken)}`);
  if (file !== undefined) writeKept(file, merge(kept, next));
};

async function verify(
  { clock }: CommandContext,
  service: AuditedService,
  { keySetFile, kept }: Options,
): Promise<{ report: ChainReport; newest: KeptCheckpoint | undefined }> {
  const { tenantId } = await patient(() =>
    service.audit.listAuditLinks({ pageSize: 1, pageToken: "", afterSequence: 0n }),
  );
  // The name is ours, and the hashes are over it: another service's chain does not pass for this one's.
  const chain = { service: service.service, tenantId };
  const mine = kept.filter((it) => it.service === chain.service && it.tenantId === tenantId);
  const findKey = await findKeys(service, keySetFile, mine);
  const report = await verifyChain({
    ...{ chain, findKey, now: clock.now() },
    reader: createRemoteChainReader(service),
    known: mine.map(({ checkpoint }) => checkpoint),
  });
  const { signed } = report;
  const key = signed && findKey(signed.keyId);
  const newest = key && { ...chain, checkpoint: signed, publicKey: rawPublicKey(key) };
  return { report, newest };
}

function isWhole({ faultCount }: ChainReport): boolean {
  return faultCount === 0;
}

function firstFault({ faults }: ChainReport): string {
  return faults[0]?.message ?? "";
}

/** The newer ones, and those of chains that were not looked at. */
function merge(kept: readonly KeptCheckpoint[], next: readonly KeptCheckpoint[]): KeptCheckpoint[] {
  const isSame = (a: KeptCheckpoint, b: KeptCheckpoint) =>
    a.service === b.service && a.tenantId === b.tenantId;
  return [...kept.filter((old) => !next.some((it) => isSame(it, old))), ...next];
}
