import { writeAudit } from "../audit";
import type { SpawnSecretStore } from "./spawn-secret-store";

/** SpawnSecretStore in PostgreSQL. */
export function createPostgresSpawnSecretStore(): SpawnSecretStore {
  return {
    async replace(tx, caller, agentId, { dataKeyId, sealed }) {
      const { tenantId } = caller;
      const { rows } = await tx.query<{ lease_expires_at: Date }>(
        `insert into catalog.agents as a (tenant_id, agent_id, lease_expires_at)
         values ($1, $2, clock_timestamp() + interval '10 minutes')
         on conflict (tenant_id, agent_id) do update
           set lease_expires_at = excluded.lease_expires_at, updated_at = clock_timestamp()
           where a.generation = 0 and a.ended_at is null
         returning lease_expires_at`,
        [tenantId, agentId],
      );
      const lease = rows[0]?.lease_expires_at;
      if (!lease) return undefined;
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
