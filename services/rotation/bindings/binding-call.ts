import type { GatherRecord } from "../../../lib/audit/audit";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { DeveloperPrincipal } from "../../../lib/identity/principal";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { type AuditEntry, type Caller, writeAudit } from "../audit";
import type { AttemptLimit, AttemptStore } from "../limits/attempt-limit";
import { tooManyAttempts } from "../limits/attempt-limit";
import { assertFound } from "./domain/authority";
import type { BoundAgent } from "./domain/bound-agent";
import type { BindingStore } from "./store/binding-store";

export interface BindingDeps {
  pool: Pool;
  bindings: BindingStore;
  attempts: Pick<AttemptStore, "take">;
  gather: GatherRecord;
}

const OBJECT_KIND = "registered-agent";

/** Who asks: the developer, and who that is in the audit. */
export interface By {
  developer: DeveloperPrincipal;
  caller: Caller;
}

/** Changes one agent of the caller's tenant, which nobody else changes meanwhile; NOT_FOUND when there is none. */
export async function withAgent<T>(
  { pool, bindings }: BindingDeps,
  { tenantId }: { tenantId: string },
  id: string,
  change: (tx: Tx, agent: BoundAgent) => Promise<T>,
): Promise<T> {
  return withTransactionRetry(pool, async (tx) =>
    change(tx, assertFound(await bindings.lock(tx, { tenantId, id }), id)),
  );
}

/** What an account may try so often only. */
export interface LimitedAttempt {
  action: "rebind" | "verify-binding";
  limit: AttemptLimit;
  /** To whoever tried too often. */
  message: string;
}

/**
 * Counts one attempt of the caller's account at an agent; throws RESOURCE_EXHAUSTED when it had too many.
 * Those are audited gathered: whoever may try as often as they like fills no table by it.
 */
export async function countAttempt(
  { pool, attempts, gather }: BindingDeps,
  { developer: { tenantId, id }, caller }: By,
  { action, limit, message }: LimitedAttempt,
  objectId: string,
): Promise<void> {
  const waitMs = await attempts.take(pool, limit, { tenantId, subject: id });
  if (waitMs === undefined) return;
  const { kind, peer, apiKeyId } = caller;
  const by = apiKeyId === undefined ? {} : { api_key: apiKeyId };
  gather({
    ...{ tenantId, kind, id, peer, action: `${OBJECT_KIND}.${action}`, objectKind: OBJECT_KIND },
    ...{ objectId, outcome: "refused", detail: { limit: limit.name, ...by } },
  });
  throw tooManyAttempts(limit, message, waitMs);
}

/** In the transaction of what it records. */
export async function record(tx: Tx, caller: Caller, done: Done): Promise<void> {
  await writeAudit(tx, caller, [{ ...toEntry(done), outcome: "ok" }]);
}

/** A proof that was refused; on its own, as what it would have been part of did not happen. */
export async function recordRefusal(
  { pool }: BindingDeps,
  caller: Caller,
  tried: Done,
): Promise<void> {
  await writeAudit(pool, caller, [{ ...toEntry(tried), outcome: "refused" }]);
}

/** What is done with an agent. `detail` never holds a hash, which would prove a key. */
interface Done {
  action: "shadow" | "history" | "rebind" | "claim" | "deactivate";
  id: string;
  detail?: Record<string, unknown>;
}

function toEntry({ action, id, detail = {} }: Done): Omit<AuditEntry, "outcome"> {
  const objectKind = OBJECT_KIND;
  return { action: `${objectKind}.${action}`, objectKind, objectId: id, detail };
}
