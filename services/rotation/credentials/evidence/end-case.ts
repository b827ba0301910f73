import type { Pool } from "../../../../lib/postgres/db";
import type { Log } from "../../../../lib/log";
import { withTransactionRetry } from "../../../../lib/postgres/transaction";
import { type Caller, writeAudit, type AuditEntry } from "../../audit";
import type { CredentialStore } from "../store/credential-store";
import type { CaseEnd, EvidenceCase, Laggard } from "./domain/evidence-case";
import { judgeHolders } from "./domain/judge-holders";
import type { EvidenceMetrics } from "./evidence-metrics";
import { lookAtHolders, type LookDeps } from "./look-at-holders";
import type { CaseStore, HeldCase } from "./store/case-store";

export interface EndCaseDeps extends LookDeps {
  pool: Pool;
  credentials: Pick<CredentialStore, "find" | "lock" | "end" | "takeBack">;
  cases: CaseStore;
  /** For how long nobody may have used the old value. */
  quietMs: number;
  metrics: EvidenceMetrics;
  log: Log;
}

/** Nobody asks: the service does it by itself. */
export function ownCaller(tenantId: string): Caller {
  return { tenantId, kind: "service", id: "rotation", peer: "" };
}

/** The audit of what became of a case, as an event of the old credential. */
export function caseEntry(
  action: string,
  { credentialId, successorId, secretName }: EvidenceCase,
  detail: Record<string, unknown> = {},
): AuditEntry {
  return {
    ...{ action, objectKind: "credential", objectId: credentialId, outcome: "ok" },
    detail: { successor: successorId, secret: secretName, ...detail },
  };
}

/**
 * Ends the old credential if nobody holds or uses it, and says who does otherwise. From the second look
 * on the catalog makes no generation with the old value; what is there by then is judged while no agent
 * can change, in the transaction that ends it.
 */
export async function endOnEvidence(deps: EndCaseDeps, held: HeldCase): Promise<Laggard[]> {
  const { pool, cases, credentials } = deps;
  const { tenantId, credentialId } = held;
  const old = { tenantId, id: credentialId };
  const looked = await lookAtHolders(deps, held, true);
  const left = await withTransactionRetry(pool, async (tx) => {
    const agents = await cases.readAgents(tx, tenantId, looked.agentIds, "for share");
    const before = await credentials.lock(tx, old);
    const open = await cases.lock(tx, held);
    if (!open || before?.state !== "in_grace") return [];
    const laggards = [
      ...judgeHolders({ ...looked, agents }),
      ...(await othersOf(deps, tx, held, "for share")),
    ];
    if (laggards.length > 0) return laggards;
    await credentials.end(tx, old, undefined);
    await cases.end(tx, held, "evidence");
    await writeAudit(tx, ownCaller(tenantId), [caseEntry("credential.end-on-evidence", held)]);
    return undefined;
  }).catch(async (error: unknown) => {
    // Where it was ended all the same, the next step retires them again.
    await lookAtHolders(deps, held, false).catch(() => undefined);
    throw error;
  });
  if (!left) {
    noteEnd(deps, held, "evidence");
    await cases.finish(pool, held);
    return [];
  }
  // It is to be as it was: until the old value ends, an agent may be taken back to it.
  if (left.length > 0) await lookAtHolders(deps, held, false);
  return left;
}

/** What holds the old value back beside agents. */
export async function othersOf(
  { cases, quietMs }: Pick<EndCaseDeps, "cases" | "quietMs">,
  db: Parameters<CaseStore["isQuiet"]>[0],
  { tenantId, credentialId: id }: EvidenceCase,
  lock: "" | "for share",
): Promise<Laggard[]> {
  const isValid = await cases.hasValidSuccessor(db, { tenantId, id }, lock);
  const isQuiet = await cases.isQuiet(db, { tenantId, id }, quietMs);
  const used = `it was used within ${quietMs / 1000} s, or it cannot be told yet that it was not`;
  return [
    ...(isValid ? [] : [{ reason: "successor-ended" as const, detail: "the new one has ended" }]),
    ...(isQuiet ? [] : [{ reason: "used" as const, detail: used }]),
  ];
}

/** Notes that something else has ended the old credential. */
export async function closeCase(
  deps: EndCaseDeps,
  held: HeldCase,
  how: "deadline" | "revoked",
): Promise<void> {
  const { pool, cases, log } = deps;
  const isDeadline = how === "deadline";
  const isClosed = await withTransactionRetry(pool, async (tx) => {
    if (!(await cases.lock(tx, held))) return false;
    const detail = { by: how, laggards: held.laggardCount, names: namesOf(held.laggards) };
    await writeAudit(tx, ownCaller(held.tenantId), [
      caseEntry("credential.evidence-over", held, detail),
    ]);
    if (isDeadline) await cases.noteLook(tx, held, { laggards: held.laggards, alarm: 100 });
    return cases.end(tx, held, how);
  });
  if (isClosed && isDeadline) {
    log.error("ALARM: the deadline ended a credential that was still held", fieldsOf(held));
    deps.metrics.alarm(100);
  }
  if (isClosed) noteEnd(deps, held, how);
  await retire(deps, held);
}

/** The value is dead: no rollback brings it back to an agent. */
export async function retire(deps: EndCaseDeps, held: HeldCase): Promise<void> {
  if (held.secretVersion !== undefined && held.stage !== "cancelled")
    await lookAtHolders(deps, held, true);
  await deps.cases.finish(deps.pool, held);
}

/** The old one is as it was before, the new one ends. */
export async function cancelCase(
  deps: Pick<EndCaseDeps, "pool" | "cases" | "credentials" | "metrics" | "log">,
  held: EvidenceCase,
  caller: Caller,
  problem: string,
): Promise<void> {
  const { tenantId, credentialId: id, successorId } = held;
  const isCancelled = await withTransactionRetry(deps.pool, async (tx) => {
    await deps.credentials.lock(tx, { tenantId, id });
    if (!(await deps.cases.lock(tx, held))) return false;
    await deps.credentials.takeBack(tx, { tenantId, id }, successorId);
    await writeAudit(tx, caller, [caseEntry("credential.rotation-cancelled", held, { problem })]);
    return deps.cases.end(tx, held, "cancelled", problem);
  });
  if (isCancelled) noteEnd(deps, held, "cancelled");
}

function noteEnd(
  { log, metrics }: Pick<EndCaseDeps, "log" | "metrics">,
  { tenantId, credentialId, successorId, secretName }: EvidenceCase,
  how: CaseEnd,
): void {
  const fields = { tenantId, credentialId, successorId, secretName, by: how };
  log.info("the rotation of a credential is over", fields);
  metrics.ended(how);
}

/** For alarms. */
export function fieldsOf({ tenantId, credentialId, secretName, ...held }: EvidenceCase) {
  const { deadline, laggardCount, laggards, problem } = held;
  return {
    ...{ tenantId, credentialId, secretName, deadline, laggards: namesOf(laggards), laggardCount },
    ...(problem !== "" && { problem }),
  };
}

/** Who they are and why, one line each; never more than an alarm can carry. */
export function namesOf(laggards: readonly Laggard[]): string[] {
  return laggards.slice(0, 20).map(({ agent, process, detail }) => {
    const who = agent ? `${agent.workspace}/${agent.path} on ${agent.vm}` : "credential";
    const what = process ? `, ${process.name} (pid ${process.pid})` : "";
    return `${who}${what}: ${detail}`;
  });
}
