import type { Db } from "../../../lib/postgres/db";
import { fromTuple, type RefTuple } from "../domain/environment-set";
import { batched } from "./batched";
import type { FoundGeneration, GenerationStore } from "./generation-store";

interface Question {
  tenantId: string;
  vmId: string;
  refs: readonly { agentId: string; generation: bigint }[];
}

interface GenerationRow {
  question: number;
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
  // VMs that a rollout wakes ask at the same time: one statement costs little more than a row.
  const find = batched((questions: readonly Question[]) => findGenerations(db, questions), {
    weightOf: ({ refs }) => refs.length,
  });
  return {
    find: (tenantId, vmId, refs) => find({ tenantId, vmId, refs }),
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

/** Each row is found by its question's own tenant and VM, whatever else is asked beside it. */
async function findGenerations(
  db: Db,
  questions: readonly Question[],
): Promise<FoundGeneration[][]> {
  const wanted = questions.flatMap(({ refs, ...who }, question) =>
    refs.map((ref) => ({ ...who, ...ref, question })),
  );
  const { rows } = await db.query<GenerationRow>(
    `select wanted.question, g.agent_id, g.generation, g.set_id, g.unset_names, g.data_key_id,
       g.mac, a.floor
     from unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::int[])
       as wanted (tenant_id, vm_id, agent_id, generation, question)
     join catalog.generations g
       on g.tenant_id = wanted.tenant_id and g.agent_id = wanted.agent_id
       and g.generation = wanted.generation and g.vm_id = wanted.vm_id
     join catalog.agents a
       on a.tenant_id = wanted.tenant_id and a.agent_id = wanted.agent_id
       and a.ended_at is null and a.floor <= wanted.generation`,
    [
      wanted.map(({ tenantId }) => tenantId),
      wanted.map(({ vmId }) => vmId),
      wanted.map(({ agentId }) => agentId),
      wanted.map(({ generation }) => generation),
      wanted.map(({ question }) => question),
    ],
    { name: "find-generations" },
  );
  const answers: FoundGeneration[][] = questions.map(() => []);
  for (const row of rows) answers[row.question]?.push(fromRow(row));
  return answers;
}

function fromRow(row: GenerationRow): FoundGeneration {
  return {
    agentId: row.agent_id,
    generation: row.generation,
    setId: row.set_id,
    unsetNames: row.unset_names,
    dataKeyId: row.data_key_id,
    mac: row.mac,
    floor: row.floor,
  };
}
