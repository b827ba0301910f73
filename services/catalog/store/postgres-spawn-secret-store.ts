import type { Tx } from "../../../lib/postgres/db";
import { writeAudit, type Caller } from "../audit";
import type { NotReplaced, SealedSpawnSecret, SpawnSecretStore } from "./spawn-secret-store";

/** Generations that a VM has not let go of have no older ones. */
const KEPT_VERSIONS = 8;

/** SpawnSecretStore in PostgreSQL. */
export function createPostgresSpawnSecretStore(): SpawnSecretStore {
  return {
    supersede,
    async replace(tx, caller, agentId, { dataKeyId, sealed }) {
      const { tenantId } = caller;
      const lease = await takeLease(tx, caller, agentId);
      if (!lease) return whyNot(tx, tenantId, agentId);
      await tx.query(
        `delete from catalog.secret_versions
         where tenant_id = $1 and kind = 'spawn' and owner = $2`,
        [tenantId, agentId],
      );
      await tx.query(
        `insert into catalog.secret_versions (tenant_id, id, kind, owner, name, version,
           data_key_id, sealed, size_bytes, as_file, written_at, written_by)
         select $1, id, 'spawn', $2, name, 1, $3, sealed, size_bytes, false, clock_timestamp(), $4
         from unnest($5::uuid[], $6::text[], $7::bytea[], $8::integer[])
           as secret (id, name, sealed, size_bytes)`,
        [
          ...[tenantId, agentId, dataKeyId, caller.id],
          sealed.map(({ id }) => id),
          sealed.map(({ name }) => name),
          sealed.map((secret) => secret.sealed),
          sealed.map(({ sizeBytes }) => sizeBytes),
        ],
      );
      const names = sealed.map(({ name }) => name);
      await writeAudit(tx, caller, [
        {
          action: "spawn-secrets.store",
          objectKind: "agent",
          objectId: agentId,
          outcome: "ok",
          detail: { names },
        },
      ]);
      return lease;
    },
  };
}

/** The row is locked as snapshots lock it: a generation has all of the new versions, or none. */
async function supersede(
  tx: Tx,
  caller: Caller,
  agentId: string,
  { dataKeyId, sealed }: { dataKeyId: string; sealed: readonly SealedSpawnSecret[] },
): Promise<boolean> {
  const { tenantId } = caller;
  const { rows } = await tx.query(
    `select from catalog.agents where tenant_id = $1 and agent_id = $2 and generation > 0
       and ended_at is null for update`,
    [tenantId, agentId],
  );
  if (rows.length === 0) return false;
  const names = sealed.map(({ name }) => name);
  await tx.query(
    `insert into catalog.secret_versions (tenant_id, id, kind, owner, name, version,
       data_key_id, sealed, size_bytes, as_file, written_at, written_by)
     select $1, id, 'spawn', $2, name, 1 + coalesce((select max(version)
         from catalog.secret_versions v where v.tenant_id = $1 and v.kind = 'spawn'
           and v.owner = $2 and v.name = secret.name), 0),
       $3, sealed, size_bytes, false, clock_timestamp(), $4
     from unnest($5::uuid[], $6::text[], $7::bytea[], $8::integer[])
       as secret (id, name, sealed, size_bytes)`,
    [
      ...[tenantId, agentId, dataKeyId, caller.id],
      sealed.map(({ id }) => id),
      names,
      sealed.map((secret) => secret.sealed),
      sealed.map(({ sizeBytes }) => sizeBytes),
    ],
  );
  await tx.query(
    `delete from catalog.secret_versions v
     where tenant_id = $1 and kind = 'spawn' and owner = $2 and name = any($3) and version <=
       (select max(version) from catalog.secret_versions n where n.tenant_id = $1
          and n.kind = 'spawn' and n.owner = $2 and n.name = v.name) - ${KEPT_VERSIONS}`,
    [tenantId, agentId, names],
  );
  await writeAudit(tx, caller, [
    {
      ...{ action: "agent-secrets.set", objectKind: "agent", objectId: agentId },
      ...{ outcome: "ok", detail: { names } },
    },
  ]);
  return true;
}

/** Begins or prolongs the lease of the one who holds it; undefined when the caller may not. */
async function takeLease(tx: Tx, caller: Caller, agentId: string): Promise<Date | undefined> {
  const { rows } = await tx.query<{ lease_expires_at: Date }>(
    `insert into catalog.agents as a (tenant_id, agent_id, lease_expires_at, lease_owner_kind,
       lease_owner_id)
     values ($1, $2, clock_timestamp() + interval '10 minutes', $3, $4)
     on conflict (tenant_id, agent_id) do update
       set lease_expires_at = excluded.lease_expires_at, updated_at = clock_timestamp()
       where a.generation = 0 and a.ended_at is null
         and a.lease_owner_kind = excluded.lease_owner_kind
         and a.lease_owner_id = excluded.lease_owner_id
     returning lease_expires_at`,
    [caller.tenantId, agentId, caller.kind, caller.id],
  );
  return rows[0]?.lease_expires_at;
}

async function whyNot(tx: Tx, tenantId: string, agentId: string): Promise<NotReplaced> {
  const { rows } = await tx.query(
    `select from catalog.agents
     where tenant_id = $1 and agent_id = $2 and generation = 0 and ended_at is null`,
    [tenantId, agentId],
  );
  return rows.length > 0 ? "stored-by-another" : "spawned";
}
