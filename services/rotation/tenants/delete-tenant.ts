import type { Clock } from "../../../lib/clock";
import { invalid, permissionDenied } from "../../../lib/errors";
import { hashText } from "../../../lib/identity/credential-value";
import { leaseOver } from "../../../lib/lease";
import type { Pool } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Sensitive } from "../../../lib/sensitive";
import { type Caller, writeAudit } from "../audit";
import type { CatalogClient } from "../catalog/catalog-client";
import { checkRequestId } from "../credentials/repeatable";
import type { PersonStore } from "../people/store/person-store";
import { deletionNotFound, deletionUnderWay, type TenantDeletion } from "./domain/tenant-deletion";
import type { DeletionStore } from "./store/deletion-store";

export interface DeleteTenantDeps {
  pool: Pool;
  deletions: DeletionStore;
  people: Pick<PersonStore, "lockOwners">;
  catalog: Pick<CatalogClient, "endTenant">;
  clock: Clock;
}

/**
 * Longer than anything lives that was let in before: a call ends in 30 s, a session's token and what was
 * sealed ahead sooner. It is also what VMs have to end their agents.
 */
export const PURGE_AFTER_MS = 60_000;

/**
 * Deletes the caller's tenant; what has to be removed is removed later, by `leadDeletion`. When it
 * resolves, no replica of any service lets anybody of the tenant in. Throws PERMISSION_DENIED to one who is
 * no owner any more, TENANT_DELETION_UNDER_WAY, UNAVAILABLE when the catalog is away: then it goes on later.
 */
export async function deleteTenant(
  deps: DeleteTenantDeps,
  caller: Caller,
  wish: { confirmTenant: string; requestId: Sensitive<string> },
): Promise<TenantDeletion> {
  const { pool, deletions, people } = deps;
  const { tenantId } = caller;
  if (wish.confirmTenant !== tenantId)
    throw invalid("confirm_tenant", "confirm_tenant must be the name of the caller's tenant");
  const requestHash = hashOf(wish.requestId);
  await withTransactionRetry(pool, async (tx) => {
    const owners = await people.lockOwners(tx, tenantId);
    if (!owners.includes(caller.id)) throw permissionDenied();
    const asked = await deletions.ask(tx, { tenantId, requestHash, requestedBy: caller.id });
    if (!asked) throw deletionUnderWay(tenantId);
    // The tenant's own chain can be read by nobody of the tenant soon: the installation's has it, too.
    if (asked.isNew) for (const chain of [tenantId, ""]) await record(tx, caller, chain);
  });
  await endAsked(deps, tenantId);
  return findDeletion(deps, wish.requestId);
}

/** The catalog first: a tenant that has ended here has ended everywhere. Both may be done twice. */
export async function endAsked(
  { pool, deletions, catalog, clock }: Omit<DeleteTenantDeps, "people">,
  tenantId: string,
): Promise<void> {
  await catalog.endTenant(tenantId);
  await withTransactionRetry(pool, (tx) => deletions.end(tx, tenantId, PURGE_AFTER_MS), {
    deadlineMs: 20_000,
  });
  await leaseOver(clock);
}

/** Throws TENANT_DELETION_NOT_FOUND. */
export async function findDeletion(
  { pool, deletions }: Pick<DeleteTenantDeps, "pool" | "deletions">,
  requestId: Sensitive<string>,
): Promise<TenantDeletion> {
  const found = await deletions.find(pool, hashOf(requestId));
  if (!found) throw deletionNotFound();
  return found;
}

function hashOf(requestId: Sensitive<string>): Buffer {
  checkRequestId(requestId);
  return Buffer.from(hashText(requestId), "base64");
}

async function record(tx: Parameters<typeof writeAudit>[0], caller: Caller, chain: string) {
  const { tenantId } = caller;
  const entry = { action: "tenant.delete", objectKind: "tenant", objectId: tenantId };
  await writeAudit(tx, { ...caller, tenantId: chain }, [{ ...entry, outcome: "ok" }]);
}
