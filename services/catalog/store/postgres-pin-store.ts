import type { Db } from "../../../lib/postgres/db";
import type { SecretKind } from "../domain/environment-set";
import { variableOf } from "../domain/secret-name";
import type { PinStore } from "./pin-store";

/**
 * $1 tenant, $2 name, $3 agent ids, $4 generations. Agents share sets: each set is searched once.
 */
const FIND_PINS = `
with wanted as materialized (
  select distinct agent_id, generation from unnest($3::uuid[], $4::bigint[])
    as wanted (agent_id, generation)
), kept as materialized (
  select w.agent_id, w.generation, g.set_id from wanted w
  left join lateral (
    select g.set_id from catalog.generations g
    join catalog.agents a on a.tenant_id = g.tenant_id and a.agent_id = g.agent_id
    where g.tenant_id = $1 and g.agent_id = w.agent_id and g.generation = w.generation
      and a.ended_at is null and g.generation >= a.floor limit 1) g on true
), pinned as materialized (
  select s.set_id, ref ->> 1 as kind, (ref ->> 2)::uuid as version_id
  from catalog.environment_sets s cross join lateral jsonb_array_elements(s.refs) as ref
  where s.tenant_id = $1 and s.set_id in (select set_id from kept) and ref ->> 0 = $2
)
select k.agent_id, k.generation, k.set_id is not null as is_kept, p.kind,
  coalesce(v.version, 0) as version
from kept k
left join pinned p using (set_id)
left join catalog.secret_versions v on v.tenant_id = $1 and v.id = p.version_id
where k.set_id is null or p.kind is not null`;

/** $1 tenant, $2 agent ids, $3 names of the variables that it may fill. */
const FIND_HAD = `
select agent_id from catalog.agents
where tenant_id = $1 and agent_id = any($2::uuid[]) and ended_at is null
  and delivered_names ?| $3::text[]`;

/** PinStore in PostgreSQL. */
export function createPostgresPinStore(db: Db): PinStore {
  return {
    async find(tenantId, secretName, generations) {
      const { rows } = await db.query<{
        agent_id: string;
        generation: bigint;
        is_kept: boolean;
        kind: SecretKind | null;
        version: bigint;
      }>(
        FIND_PINS,
        [
          ...[tenantId, secretName],
          generations.map(({ agentId }) => agentId),
          generations.map(({ generation }) => generation),
        ],
        { name: "find-pins" },
      );
      const pins = rows.flatMap(({ agent_id: agentId, generation, kind, version }) =>
        kind === null ? [] : [{ agentId, generation, kind, version }],
      );
      const unknown = rows
        .filter((row) => !row.is_kept)
        .map(({ agent_id: agentId, generation }) => ({ agentId, generation }));
      const had = await db.query<{ agent_id: string }>(
        FIND_HAD,
        [
          tenantId,
          [...new Set(generations.map(({ agentId }) => agentId))],
          [variableOf(secretName, false), variableOf(secretName, true)],
        ],
        { name: "find-had" },
      );
      return { pins, unknown, hadAgentIds: had.rows.map((row) => row.agent_id) };
    },
  };
}
