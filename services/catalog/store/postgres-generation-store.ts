import type { Db } from "../../../lib/postgres/db";
import { fromTuple, type RefTuple } from "../domain/environment-set";
import type { GenerationStore } from "./generation-store";

interface GenerationRow {
  agent_id: string;
  generation: bigint;
  set_id: Buffer;
  unset_names: string[];
  data_key_id: string;
  mac: Buffer;
  floor: bigint;
}

/** GenerationStore in PostgreSQL. */
export function createPostgresGenerationStore(db: Db): GenerationStore {
  return {
    async find(tenantId, vmId, refs) {
      const { rows } = await db.query<GenerationRow>(
        `select g.agent_id, g.generation, g.set_id, g.unset_names, g.data_key_id, g.mac, a.floor
         from unnest($3::uuid[], $4::bigint[]) as wanted (agent_id, generation)
         join catalog.generations g
           on g.tenant_id = $1 and g.agent_id = wanted.agent_id
           and g.generation = wanted.generation and g.vm_id = $2
         join catalog.agents a
           on a.tenant_id = $1 and a.agent_id = g.agent_id
           and a.ended_at is null and a.floor <= g.generation`,
        [
          ...[tenantId, vmId, refs.map(({ agentId }) => agentId)],
          refs.map(({ generation }) => generation),
        ],
        { name: "find-generations" },
      );
      return rows.map((row) => ({
        agentId: row.agent_id,
        generation: row.generation,
        setId: row.set_id,
        unsetNames: row.unset_names,
        dataKeyId: row.data_key_id,
        mac: row.mac,
        floor: row.floor,
      }));
    },
    async readSets(readDb, tenantId, setIds) {
      const { rows } = await readDb.query<{ set_id: Buffer; refs: RefTuple[] }>(
        `select set_id, refs from catalog.environment_sets
         where tenant_id = $1 and set_id = any($2::bytea[])`,
        [tenantId, setIds],
        { name: "read-sets" },
      );
      return new Map(rows.map(({ set_id, refs }) => [set_id.toString("hex"), refs.map(fromTuple)]));
    },
  };
}
