import type { Db } from "../../../../lib/postgres/db";
import type { RolloutRef, SettledOfRollout } from "../domain/evidence";

/**
 * What closes targets and counts down their rollouts, given `due` (tenant_id, rollout_id, agent_id
 * and the new state's columns): rows are locked in order, and a target that another statement
 * settled meanwhile is not counted twice. Ends in `counts`, one row per rollout.
 */
const COUNT_DOWN = `
  counts as (
    select tenant_id, rollout_id, count(*)::integer as settled from closed group by 1, 2
  ), held as (
    select r.tenant_id, r.rollout_id, c.settled,
      extract(epoch from clock_timestamp() - r.accepted_at)::float8 * 1000 as after_ms
    from counts c join rotation.rollouts r using (tenant_id, rollout_id)
    order by r.tenant_id, r.rollout_id for update of r
  ), counted as (
    update rotation.rollouts r
    set open_targets = r.open_targets - h.settled,
        completed_at = case when r.open_targets = h.settled then clock_timestamp() end
    from held h where r.tenant_id = h.tenant_id and r.rollout_id = h.rollout_id
  )
  select tenant_id, rollout_id, settled, after_ms from held`;

interface RefRow {
  tenant_id: string;
  rollout_id: string;
  settled: number;
  after_ms: number;
}

function toRef(row: RefRow): SettledOfRollout {
  const { settled, after_ms: afterMs } = row;
  return { tenantId: row.tenant_id, rolloutId: row.rollout_id, settled, afterMs };
}

/**
 * Closes the open targets that the applied generations of these agents satisfy: those up to it
 * (protocol/target.ts). It has to be a statement after the one that raised `applied`: a rekey that
 * held the agent's row meanwhile has written targets that the earlier statement cannot see.
 */
export async function closeSatisfied(
  db: Db,
  agents: readonly { tenantId: string; agentId: string; omittedNames: readonly string[] }[],
): Promise<SettledOfRollout[]> {
  if (agents.length === 0) return [];
  const { rows } = await db.query<RefRow>(
    `with named as (
       select * from unnest($1::text[], $2::uuid[], $3::jsonb[]) as n(tenant_id, agent_id, omitted)
     ), due as (
       select t.tenant_id, t.rollout_id, t.agent_id, n.omitted
       from named n
       join rotation.agents a using (tenant_id, agent_id)
       join rotation.targets t on t.tenant_id = n.tenant_id and t.agent_id = n.agent_id
         and t.state in ('pending', 'failed') and t.generation <= a.applied
       order by t.tenant_id, t.agent_id, t.rollout_id for update of t
     ), closed as (
       update rotation.targets t
       set state = 'applied', reason = '', acked_at = clock_timestamp(),
           omitted_names = array(select jsonb_array_elements_text(d.omitted))
       from due d
       where t.tenant_id = d.tenant_id and t.rollout_id = d.rollout_id and t.agent_id = d.agent_id
       returning t.tenant_id, t.rollout_id
     ), ${COUNT_DOWN}`,
    [
      agents.map(({ tenantId }) => tenantId),
      agents.map(({ agentId }) => agentId),
      agents.map(({ omittedNames }) => JSON.stringify(omittedNames)),
    ],
    { name: "close_satisfied_targets" },
  );
  return rows.map(toRef);
}

/** Settles the open targets of agents that are over or on their way out as skipped. */
export async function skipTargets(
  db: Db,
  agents: readonly { tenantId: string; id: string; reason: string }[],
): Promise<RolloutRef[]> {
  if (agents.length === 0) return [];
  const { rows } = await db.query<RefRow>(
    `with named as (
       select * from unnest($1::text[], $2::uuid[], $3::text[]) as n(tenant_id, agent_id, reason)
     ), due as (
       select t.tenant_id, t.rollout_id, t.agent_id, n.reason
       from named n join rotation.targets t
         on t.tenant_id = n.tenant_id and t.agent_id = n.agent_id
         and t.state in ('pending', 'failed')
       order by t.tenant_id, t.agent_id, t.rollout_id for update of t
     ), closed as (
       update rotation.targets t set state = 'skipped', reason = d.reason
       from due d
       where t.tenant_id = d.tenant_id and t.rollout_id = d.rollout_id and t.agent_id = d.agent_id
       returning t.tenant_id, t.rollout_id
     ), ${COUNT_DOWN}`,
    [
      agents.map(({ tenantId }) => tenantId),
      agents.map(({ id }) => id),
      agents.map(({ reason }) => reason),
    ],
  );
  return rows.map(toRef);
}
