import type { Db } from "../../../lib/postgres/db";
import type { Phase } from "../protocol";
import type { DueRelease, ReleaseStore, SettledRelease } from "./release-store";

interface DueRow {
  tenant_id: string;
  agent_id: string;
  phase: Phase;
  desired: bigint;
  applied: bigint;
  targets: [generation: string, source: string | null, rolloutOpen: boolean][];
}

/** Keeps in `rotation.agents` which agents are due. */
export function createPostgresReleaseStore(db: Db): ReleaseStore {
  return {
    claim: (limit) => claim(db, limit),
    settle: (released) => settle(db, released),
  };
}

async function claim(db: Db, limit: number): Promise<DueRelease[]> {
  const { rows } = await db.query<DueRow>(
    `with due as (
       select a.tenant_id, a.agent_id from rotation.agents a
       where a.release_due and a.release_after < clock_timestamp()
       order by a.release_after limit $1 for update skip locked
     ), claimed as (
       update rotation.agents a set release_after = clock_timestamp() + interval '10 seconds'
       from due d where a.tenant_id = d.tenant_id and a.agent_id = d.agent_id
       returning a.tenant_id, a.agent_id, a.phase, a.desired, a.applied
     )
     select c.tenant_id, c.agent_id, c.phase, c.desired, c.applied, coalesce((
       select jsonb_agg(jsonb_build_array(
         t.generation::text, t.rollback_source::text, r.open_targets > 0))
       from rotation.targets t join rotation.rollouts r using (tenant_id, rollout_id)
       where t.tenant_id = c.tenant_id and t.agent_id = c.agent_id
         and (r.open_targets > 0 or t.generation = (
           select max(l.generation) from rotation.targets l
           where l.tenant_id = c.tenant_id and l.agent_id = c.agent_id))
     ), '[]') as targets
     from claimed c`,
    [limit],
    { name: "claim_releases" },
  );
  return rows.map((row) => ({
    tenantId: row.tenant_id,
    agentId: row.agent_id,
    phase: row.phase,
    desired: row.desired,
    applied: row.applied,
    targets: row.targets.map(([generation, source, rolloutOpen]) => ({
      generation: BigInt(generation),
      source: source === null ? undefined : BigInt(source),
      rolloutOpen,
    })),
  }));
}

async function settle(db: Db, released: readonly SettledRelease[]): Promise<void> {
  await db.query(
    `with heard as (
       select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[])
         as h(tenant_id, agent_id, desired, applied, phase, floor)
     ), locked as (
       select h.* from heard h join rotation.agents a using (tenant_id, agent_id)
       order by a.tenant_id, a.agent_id for update of a
     ), settled as (
       update rotation.agents a set release_after = '-infinity',
         release_due = (a.desired, a.applied, a.phase) is distinct from (l.desired, l.applied, l.phase)
       from locked l where a.tenant_id = l.tenant_id and a.agent_id = l.agent_id
     )
     delete from rotation.generations g using heard h
     where g.tenant_id = h.tenant_id and g.agent_id = h.agent_id and g.generation < h.floor`,
    [
      released.map(({ tenantId }) => tenantId),
      released.map(({ agentId }) => agentId),
      released.map(({ desired }) => desired),
      released.map(({ applied }) => applied),
      released.map(({ phase }) => phase),
      released.map(({ floor }) => floor),
    ],
    { name: "settle_releases" },
  );
}
