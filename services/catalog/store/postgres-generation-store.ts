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
  key_thumbprint: string | null;
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
  const [only] = wanted;
  const rows = only && wanted.length === 1 ? await findOne(db, only) : await findMany(db, wanted);
  const answers: FoundGeneration[][] = questions.map(() => []);
  for (const row of rows) answers[row.question]?.push(fromRow(row));
  return answers;
}

interface Wanted {
  tenantId: string;
  vmId: string;
  agentId: string;
  generation: bigint;
  question: number;
}

/**
 * By a limit, each join stays a look-up by key: free to choose, the planner reads all agents of all
 * tenants when it has no statistics yet.
 */
const lookUp = (wanted: string) => `
  select wanted.question, g.agent_id, g.generation, g.set_id, g.unset_names, g.data_key_id,
    g.mac, a.floor, v.key_thumbprint
  from ${wanted} as wanted (tenant_id, vm_id, agent_id, generation, question)
  cross join lateral (
    select * from catalog.generations
    where tenant_id = wanted.tenant_id and agent_id = wanted.agent_id
      and generation = wanted.generation and vm_id = wanted.vm_id limit 1) g
  cross join lateral (
    select floor from catalog.agents
    where tenant_id = wanted.tenant_id and agent_id = wanted.agent_id
      and ended_at is null and floor <= wanted.generation limit 1) a
  left join lateral (
    select key_thumbprint from catalog.vms
    where tenant_id = wanted.tenant_id and id = wanted.vm_id
      and removed_at is null limit 1) v on true`;

/** A third less than the same question as a list of one. */
const FIND_ONE = lookUp("(values ($1::text, $2::text, $3::uuid, $4::bigint, $5::int))");
/**
 * By the inner selects the planner does not see how many are asked for, and so keeps one plan: to
 * plan takes longer than to look up.
 */
const FIND_MANY = lookUp(`unnest((select $1::text[]), (select $2::text[]), (select $3::uuid[]),
  (select $4::bigint[]), (select $5::int[]))`);

async function findOne(db: Db, wanted: Wanted): Promise<GenerationRow[]> {
  const { tenantId, vmId, agentId, generation, question } = wanted;
  const params = [tenantId, vmId, agentId, generation, question];
  const { rows } = await db.query<GenerationRow>(FIND_ONE, params, { name: "find-generation" });
  return rows;
}

async function findMany(db: Db, wanted: readonly Wanted[]): Promise<GenerationRow[]> {
  const params = [
    wanted.map(({ tenantId }) => tenantId),
    wanted.map(({ vmId }) => vmId),
    wanted.map(({ agentId }) => agentId),
    wanted.map(({ generation }) => generation),
    wanted.map(({ question }) => question),
  ];
  const { rows } = await db.query<GenerationRow>(FIND_MANY, params, { name: "find-generations" });
  return rows;
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
    vmKeyThumbprint: row.key_thumbprint ?? undefined,
  };
}
