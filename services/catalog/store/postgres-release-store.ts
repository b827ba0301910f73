import type { Db } from "../../../lib/postgres/db";
import type { ReleaseStore } from "./release-store";

/**
 * Rows are locked in the order of their ids, as snapshots do. What is released is removed at once:
 * it is a range of the primary key. $1 tenant, $2 actor kind, $3 actor, $4 peer, $5 agent ids,
 * $6 floors, $7 confirmed, $8 ended. The ids are said again wherever a table is read: the planner
 * cannot guess how few they are.
 */
const RELEASE = `
with wanted as materialized (
  select * from unnest($5::uuid[], $6::bigint[], $7::bigint[], $8::boolean[])
    as wanted (agent_id, floor, confirmed, has_ended)
), locked as materialized (
  select agent_id from catalog.agents
  where tenant_id = $1 and agent_id = any($5::uuid[]) order by agent_id for update
), released as (
  update catalog.agents a set
    floor = greatest(a.floor, least(w.floor, a.generation)),
    confirmed = greatest(a.confirmed, least(w.confirmed, a.generation)),
    ended_at = case when w.has_ended then coalesce(a.ended_at, clock_timestamp())
      else a.ended_at end,
    updated_at = clock_timestamp()
  from locked join wanted w using (agent_id)
  where a.tenant_id = $1 and a.agent_id = any($5) and a.agent_id = locked.agent_id
  returning a.agent_id, a.floor, a.ended_at is not null as has_ended, w.has_ended as ends_now
), pruned as (
  delete from catalog.generations g using released r
  where g.tenant_id = $1 and g.agent_id = any($5) and g.agent_id = r.agent_id
    and (r.has_ended or g.generation < r.floor)
), forgotten as (
  delete from catalog.secret_versions v using released r
  where r.has_ended and v.tenant_id = $1 and v.kind = 'spawn' and v.owner = any($5::text[])
    and v.owner = r.agent_id::text
)
insert into catalog.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind, object_id,
  outcome)
select $1, $2, $3, $4, 'environment.end', 'agent', agent_id::text, 'ok' from released
where ends_now`;

/** ReleaseStore in PostgreSQL. */
export function createPostgresReleaseStore(db: Db): ReleaseStore {
  return {
    async release(caller, releases) {
      await db.query(
        RELEASE,
        [
          ...[caller.tenantId, caller.kind, caller.id, caller.peer],
          releases.map(({ agentId }) => agentId),
          releases.map(({ floor }) => floor),
          releases.map(({ confirmed }) => confirmed),
          releases.map(({ hasEnded }) => hasEnded),
        ],
        { name: "release-generations" },
      );
    },
  };
}
