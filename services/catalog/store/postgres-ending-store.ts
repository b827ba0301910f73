import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import { writeAudit, type Caller } from "../audit";
import { TENANT } from "../domain/secret";
import type { DestroyOutcome, EndingStore, RevokeOutcome, SecretHolder } from "./ending-store";
import { DELETE_SECRET } from "./secret-statements";

/**
 * $1 tenant, $2 version ids. An agent's newest set counts also when its generation is gone: so an
 * ending that was broken off and is repeated still names those who are to be rekeyed.
 */
const HOLDERS = `
with sets as materialized (
  select set_id from catalog.environment_sets
  where tenant_id = $1 and exists (
    select from jsonb_array_elements(refs) as ref where ref ->> 2 = any($2::text[]))
)
select agent_id, coalesce(workspace, '') as workspace from catalog.agents a
where tenant_id = $1 and ended_at is null and (
  set_id in (select set_id from sets)
  or exists (select from catalog.generations g
    where g.tenant_id = $1 and g.agent_id = a.agent_id and g.generation >= a.floor
      and g.set_id in (select set_id from sets)))
order by agent_id`;

/** $1 tenant, $2 version id. Whoever remembers the sealed value finds no generation to open it for. */
const DROP_GENERATIONS = `
delete from catalog.generations g
using catalog.environment_sets s
where g.tenant_id = $1 and s.tenant_id = $1 and s.set_id = g.set_id and exists (
  select from jsonb_array_elements(s.refs) as ref where ref ->> 2 = $2)`;

/** EndingStore in PostgreSQL. */
export function createPostgresEndingStore(pool: Pool): EndingStore {
  return {
    revoke: (caller, name) => withTransactionRetry(pool, (tx) => revoke(tx, caller, name)),
    destroy: (caller, which) => withTransactionRetry(pool, (tx) => destroy(tx, caller, which)),
  };
}

async function revoke(tx: Tx, caller: Caller, name: string): Promise<RevokeOutcome> {
  const { tenantId } = caller;
  await waitForSnapshots(tx, tenantId);
  if (!(await endSecret(tx, caller, name, "revoke"))) {
    const known = await tx.query(
      `select from catalog.secrets where tenant_id = $1 and owner = $2 and name = $3`,
      [tenantId, TENANT, name],
    );
    if (known.rowCount === 0) return { kind: "not-found" };
  }
  const { rows } = await tx.query<{ id: string }>(
    `select id from catalog.secret_versions
     where tenant_id = $1 and kind = 'tenant' and owner = $2 and name = $3`,
    [tenantId, TENANT, name],
  );
  const ids = rows.map(({ id }) => id);
  return { kind: "revoked", holders: await findHolders(tx, tenantId, ids) };
}

async function destroy(
  tx: Tx,
  caller: Caller,
  which: { name: string; version: bigint; force: boolean },
): Promise<DestroyOutcome> {
  const { tenantId } = caller;
  const { name, force } = which;
  await waitForSnapshots(tx, tenantId);
  const { rows } = await tx.query<{ version_id: string | null }>(
    `select version_id from catalog.secrets
     where tenant_id = $1 and owner = $2 and name = $3 for update`,
    [tenantId, TENANT, name],
  );
  if (!rows[0]) return { kind: "not-found" };
  const version = await findVersion(tx, tenantId, which);
  if (!version) return { kind: "version-not-found" };
  const holders = await findHolders(tx, tenantId, [version.id]);
  if (version.isDestroyed) return { kind: "destroyed", holders };
  const isCurrent = rows[0].version_id === version.id;
  if (!force && (isCurrent || holders.length > 0)) return { kind: "in-use", isCurrent, holders };
  if (isCurrent) await endSecret(tx, caller, name, "delete");
  await removeValue(tx, tenantId, version.id);
  await writeAudit(tx, caller, [
    {
      ...{ action: "secret.destroy", objectKind: "secret", objectId: name, outcome: "ok" },
      detail: { version: Number(which.version), forced: force, agents: holders.length },
    },
  ]);
  return { kind: "destroyed", holders };
}

/** A snapshot that has read what is pinned commits before this returns; others wait for our end. */
export async function waitForSnapshots(tx: Tx, tenantId: string): Promise<void> {
  await tx.query(
    `select pg_advisory_xact_lock(hashtextextended('murmur.catalog.sets.' || $1::text, 0))`,
    [tenantId],
  );
}

/** Whether there was one to end. */
async function endSecret(
  tx: Tx,
  caller: Caller,
  name: string,
  how: "delete" | "revoke",
): Promise<boolean> {
  const { tenantId, kind, id, peer, apiKeyId } = caller;
  const params = [tenantId, kind, id, peer, name, null, TENANT, how, apiKeyId ?? null];
  return (await tx.query(DELETE_SECRET, params, { name: "delete-secret" })).rowCount > 0;
}

async function findVersion(
  tx: Tx,
  tenantId: string,
  { name, version }: { name: string; version: bigint },
): Promise<{ id: string; isDestroyed: boolean } | undefined> {
  const { rows } = await tx.query<{ id: string; is_destroyed: boolean }>(
    `select id, destroyed_at is not null as is_destroyed from catalog.secret_versions
     where tenant_id = $1 and kind = 'tenant' and owner = $2 and name = $3 and version = $4
       and (sealed is not null or destroyed_at is not null)`,
    [tenantId, TENANT, name, version],
  );
  return rows[0] && { id: rows[0].id, isDestroyed: rows[0].is_destroyed };
}

async function removeValue(tx: Tx, tenantId: string, versionId: string): Promise<void> {
  await tx.query(
    `update catalog.secret_versions
     set sealed = null, data_key_id = null, destroyed_at = clock_timestamp()
     where tenant_id = $1 and id = $2`,
    [tenantId, versionId],
  );
  await tx.query(DROP_GENERATIONS, [tenantId, versionId]);
}

async function findHolders(
  tx: Tx,
  tenantId: string,
  versionIds: readonly string[],
): Promise<SecretHolder[]> {
  const { rows } = await tx.query<{ agent_id: string; workspace: string }>(HOLDERS, [
    tenantId,
    versionIds,
  ]);
  return rows.map(({ agent_id: agentId, workspace }) => ({ agentId, workspace }));
}
