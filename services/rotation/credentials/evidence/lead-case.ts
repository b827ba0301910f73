import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { isAppError } from "../../../../lib/errors";
import { withTransactionRetry } from "../../../../lib/postgres/transaction";
import { writeAudit } from "../../audit";
import type { CatalogClient } from "../../catalog/catalog-client";
import type { CredentialUses } from "../verification/credential-uses";
import { dueAlarm, type EvidenceCase, type Laggard } from "./domain/evidence-case";
import { judgeHolders, needRekey } from "./domain/judge-holders";
import {
  cancelCase,
  caseEntry,
  closeCase,
  endOnEvidence,
  type EndCaseDeps,
  fieldsOf,
  namesOf,
  othersOf,
  ownCaller,
  retire,
} from "./end-case";
import { lookAtHolders } from "./look-at-holders";
import { rekeyHolders, type RekeyHoldersDeps } from "./rekey-holders";
import type { HeldCase } from "./store/case-store";

export interface LeadCaseDeps extends EndCaseDeps, RekeyHoldersDeps {
  pool: EndCaseDeps["pool"];
  catalog: EndCaseDeps["catalog"] &
    RekeyHoldersDeps["catalog"] &
    Pick<CatalogClient, "storeStagedCredential" | "discardStagedCredential">;
  uses: Pick<CredentialUses, "flush">;
  log: EndCaseDeps["log"];
}

/** Who is in the way of a rekey of holders has time to be mended. */
const REKEY_PAUSE_MS = 5_000;
/** With these answers of the catalog the value will never be the secret's. */
const REFUSED: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.ERROR_REASON_STAGED_CREDENTIAL_NOT_FOUND,
  ErrorReason.ERROR_REASON_SECRET_VERSION_CONFLICT,
  ErrorReason.ERROR_REASON_INVALID_FIELD,
]);

/**
 * Leads a case on by what can be done now; each step may be repeated, by whichever replica. Rejects with
 * what has to be tried again, such as that the catalog is away.
 */
export async function leadCase(deps: LeadCaseDeps, held: HeldCase): Promise<void> {
  switch (held.stage) {
    case "storing": {
      const stored = await storeSuccessor(deps, held);
      if (stored) await gather(deps, stored);
      return;
    }
    case "gathering":
      await gather(deps, held);
      return;
    default:
      await retire(deps, held);
  }
}

/** Makes the new value the secret's; undefined when that cannot be: then the old one stays. */
async function storeSuccessor(deps: LeadCaseDeps, held: HeldCase): Promise<HeldCase | undefined> {
  const { pool, cases, credentials, catalog } = deps;
  const { tenantId, successorId, credentialId } = held;
  // Somebody has thought better of it: nobody is to get a value that has ended.
  if (!(await cases.hasValidSuccessor(pool, { tenantId, id: credentialId }, ""))) {
    const isStored = (await catalog.discardStagedCredential(tenantId, successorId)) !== undefined;
    if (!isStored) {
      await cancelCase(deps, held, ownCaller(tenantId), "the new one has ended");
      return undefined;
    }
  }
  const version = await catalog
    .storeStagedCredential(tenantId, successorId)
    .catch(async (error: unknown) => {
      if (!isAppError(error) || !REFUSED.has(error.reason)) throw error;
      const stored = await catalog.discardStagedCredential(tenantId, successorId);
      if (stored === undefined) await cancelCase(deps, held, ownCaller(tenantId), error.message);
      return stored;
    });
  if (version === undefined) return undefined;
  await withTransactionRetry(pool, async (tx) => {
    await credentials.lock(tx, { tenantId, id: credentialId });
    const open = await cases.lock(tx, held);
    if (open?.stage !== "storing") return;
    await cases.stored(tx, held, version);
    const detail = { version: Number(version) };
    await writeAudit(tx, ownCaller(tenantId), [caseEntry("credential.stored", held, detail)]);
  });
  await forgetStaged(deps, held);
  const stored = await cases.find(pool, held);
  return stored?.stage === "gathering" ? stored : undefined;
}

/** Its answer is written down here: nobody asks for it any more. Unless this is heard, the catalog keeps it. */
async function forgetStaged(
  { catalog, log }: LeadCaseDeps,
  { tenantId, successorId }: HeldCase,
): Promise<void> {
  try {
    await catalog.discardStagedCredential(tenantId, successorId, { isSettled: true });
  } catch (error) {
    log.debug("a staged credential was not let go of", { tenantId, successorId, error });
  }
}

async function gather(deps: LeadCaseDeps, held: HeldCase): Promise<void> {
  const { pool, credentials } = deps;
  const { tenantId } = held;
  const old = await credentials.find(pool, { tenantId, id: held.credentialId });
  if (old?.state === "revoked") return closeCase(deps, held, "revoked");
  if (old?.state === "expired") return closeCase(deps, held, "deadline");
  try {
    const laggards = await findLaggards(deps, held);
    const left = laggards.length === 0 ? await endOnEvidence(deps, held) : laggards;
    if (left.length > 0) await noteLook(deps, held, left);
  } catch (error) {
    // Whoever is alarmed should know who held it when that could be told last.
    await noteLook(deps, held, held.laggards);
    throw error;
  }
}

async function findLaggards(deps: LeadCaseDeps, held: HeldCase): Promise<Laggard[]> {
  const { pool, cases, uses } = deps;
  const { tenantId } = held;
  const looked = await lookAtHolders(deps, held);
  const ids = held.mayRekey ? needRekey(looked) : [];
  if (ids.length > 0) {
    const rolloutId = await rekeyHolders(deps, ownCaller(tenantId), held, ids);
    if (rolloutId) await cases.noteRollout(pool, held, rolloutId, REKEY_PAUSE_MS);
  }
  const holders = judgeHolders(looked);
  // What this replica knows of uses counts at once; the others tell in their own time.
  if (holders.length === 0) await uses.flush();
  return [...holders, ...(await othersOf(deps, pool, held, ""))];
}

/** What the look has found, and the alarm that is due, in one transaction with its audit. */
async function noteLook(
  deps: LeadCaseDeps,
  held: HeldCase,
  laggards: readonly Laggard[],
): Promise<void> {
  const { pool, cases, log } = deps;
  const alarm = dueAlarm(held.elapsedPercent, held.alarmed);
  const seen: EvidenceCase = { ...held, laggards, laggardCount: laggards.length };
  const isOpen = await withTransactionRetry(pool, async (tx) => {
    if (!(await cases.noteLook(tx, held, { laggards, alarm }))) return false;
    if (alarm === undefined) return true;
    const detail = { percent: alarm, laggards: laggards.length, names: namesOf(laggards) };
    await writeAudit(tx, ownCaller(held.tenantId), [
      caseEntry("credential.laggards", held, detail),
    ]);
    return true;
  });
  // Another replica may have ended it meanwhile.
  if (!isOpen || alarm === undefined) return;
  const message = `ALARM: ${alarm} % of the grace period is over, and the old credential is still held`;
  log.error(message, fieldsOf(seen));
  deps.metrics.alarm(alarm);
}
