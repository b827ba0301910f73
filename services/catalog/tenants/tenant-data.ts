import type { Clock } from "../../../lib/clock";
import { failedPrecondition } from "../../../lib/errors";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { endTenant } from "../../../lib/identity/ended-tenants";
import { leaseOver } from "../../../lib/lease";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { type Caller, writeAudit } from "../audit";

/** What becomes of a tenant here when it is deleted. */
export interface TenantData {
  /** Resolves when no replica lets anybody of the tenant in. */
  end(caller: Caller): Promise<void>;
  /** Removes a bounded number of rows; throws TENANT_NOT_ENDED for a tenant that lives. */
  purge(caller: Caller): Promise<{ removedRows: number; done: boolean }>;
}

/**
 * All that a tenant has, in the order in which it is removed. The data keys come first: what they sealed is
 * lost with them, in copies of the database's other tables, too. Rows before those that they refer to.
 */
export const TENANT_TABLES = [
  "data_keys",
  "key_rotations",
  "join_tokens",
  "staged_credentials",
  "requests",
  "generations",
  "environment_sets",
  "agents",
  "secret_versions",
  "secrets",
  "users",
  "workspaces",
  "vms",
  "removed_vms",
] as const;

/** One statement's worth: far below its time limit. */
const BATCH = 2_000;

export function createTenantData({ pool, clock }: { pool: Pool; clock: Clock }): TenantData {
  return {
    async end(caller) {
      await withTransactionRetry(pool, (tx) => end(tx, caller));
      await leaseOver(clock);
    },
    async purge({ tenantId }) {
      const { rowCount } = await pool.query(
        `select from catalog.ended_tenants where tenant_id = $1`,
        [tenantId],
      );
      if (rowCount === 0) throw notEnded(tenantId);
      for (const table of TENANT_TABLES) {
        const removedRows = await removeSome(pool, table, tenantId);
        if (removedRows > 0) return { removedRows, done: false };
      }
      return { removedRows: 0, done: true };
    },
  };
}

async function end(tx: Tx, caller: Caller): Promise<void> {
  const { tenantId } = caller;
  if (!(await endTenant(tx, "catalog", tenantId))) return;
  await tx.query(
    `insert into catalog.departed_vms (tenant_id, id, name, identity_key, key_thumbprint)
     select tenant_id, id, name, identity_key, key_thumbprint from catalog.vms
     where tenant_id = $1 and removed_at is null`,
    [tenantId],
  );
  await tx.query(`delete from catalog.join_tokens where tenant_id = $1`, [tenantId]);
  const entry = { action: "tenant.end", objectKind: "tenant", objectId: tenantId };
  await writeAudit(tx, caller, [{ ...entry, outcome: "ok" }]);
}

async function removeSome(pool: Pool, table: string, tenantId: string): Promise<number> {
  const { rowCount } = await pool.query(
    `delete from catalog.${table} where ctid = any(array(
       select ctid from catalog.${table} where tenant_id = $1 limit $2))`,
    [tenantId, BATCH],
  );
  return rowCount;
}

function notEnded(tenant: string) {
  const reason = ErrorReason.ERROR_REASON_TENANT_NOT_ENDED;
  return failedPrecondition(reason, "the tenant was not deleted", { tenant });
}
