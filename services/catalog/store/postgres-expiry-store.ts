import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransaction } from "../../../lib/postgres/transaction";
import type { ExpiryStore } from "./release-store";

/** $1 limit. A lease that a snapshot or a second call is using just now is passed over. */
const REMOVE_LEASES = `
with expired as (
  select tenant_id, agent_id from catalog.agents
  where lease_expires_at < clock_timestamp() and generation = 0
  order by lease_expires_at limit $1 for update skip locked
), forgotten as (
  delete from catalog.secret_versions v using expired e
  where v.tenant_id = e.tenant_id and v.kind = 'spawn' and v.owner = e.agent_id::text
)
delete from catalog.agents a using expired e
where a.tenant_id = e.tenant_id and a.agent_id = e.agent_id`;

const REMOVE_UNCONFIRMED = `
with expired as (
  select g.tenant_id, g.agent_id, g.generation
  from catalog.agents a
  join catalog.generations g
    on g.tenant_id = a.tenant_id and g.agent_id = a.agent_id and g.generation > a.confirmed
  where a.generation > a.confirmed and g.created_at < clock_timestamp() - interval '1 hour'
  limit $1 for update of a skip locked
)
delete from catalog.generations g using expired e
where g.tenant_id = e.tenant_id and g.agent_id = e.agent_id and g.generation = e.generation`;

const REMOVE_AGENTS = `
with old as (
  select tenant_id, agent_id from catalog.agents
  where updated_at < clock_timestamp() - interval '7 days'
    and (ended_at is not null or confirmed = 0)
  limit $1 for update skip locked
), forgotten as (
  delete from catalog.secret_versions v using old
  where v.tenant_id = old.tenant_id and v.kind = 'spawn' and v.owner = old.agent_id::text
), pruned as (
  delete from catalog.generations g using old
  where g.tenant_id = old.tenant_id and g.agent_id = old.agent_id
)
delete from catalog.agents a using old
where a.tenant_id = old.tenant_id and a.agent_id = old.agent_id`;

const UNUSED_SETS = `
select s.tenant_id, s.set_id from catalog.environment_sets s
where s.created_at < clock_timestamp() - interval '1 hour'
  and not exists (select from catalog.generations g
    where g.tenant_id = s.tenant_id and g.set_id = s.set_id)
  and not exists (select from catalog.agents a
    where a.tenant_id = s.tenant_id and a.set_id = s.set_id and a.ended_at is null)
limit $1`;

/** $1 tenant, $2 set ids that looked unused. */
const REMOVE_SETS = `
delete from catalog.environment_sets s
where s.tenant_id = $1 and s.set_id = any($2::bytea[])
  and not exists (select from catalog.generations g
    where g.tenant_id = $1 and g.set_id = s.set_id)
  and not exists (select from catalog.agents a
    where a.tenant_id = $1 and a.set_id = s.set_id and a.ended_at is null)`;

const REMOVE_REQUESTS = `
delete from catalog.requests where ctid = any(array(
  select ctid from catalog.requests where expires_at <= clock_timestamp() limit $1))`;

/**
 * What rotation has said that it asks for no more, and some time after, as another replica of it may not have
 * heard of that yet. What it has not said so of stays, however long rotation or the way to it is away: an
 * answer that was lost is asked for again.
 */
const REMOVE_STAGED = `
delete from catalog.staged_credentials where ctid = any(array(
  select ctid from catalog.staged_credentials
  where done_at < clock_timestamp() - interval '8 days' limit $1))`;

/** ExpiryStore in PostgreSQL. Several replicas may clean up at once: they pass each other's rows. */
export function createPostgresExpiryStore(pool: Pool): ExpiryStore {
  const remove = (sql: string) => async (limit: number) =>
    (await pool.query(sql, [limit])).rowCount;
  return {
    removeExpiredLeases: remove(REMOVE_LEASES),
    removeUnconfirmed: remove(REMOVE_UNCONFIRMED),
    removeOldAgents: remove(REMOVE_AGENTS),
    removeExpiredRequests: remove(REMOVE_REQUESTS),
    removeStagedCredentials: remove(REMOVE_STAGED),
    async removeUnusedSets(limit) {
      const { rows } = await pool.query<{ tenant_id: string; set_id: Buffer }>(UNUSED_SETS, [
        limit,
      ]);
      const byTenant = new Map<string, Buffer[]>();
      for (const { tenant_id, set_id } of rows)
        byTenant.set(tenant_id, [...(byTenant.get(tenant_id) ?? []), set_id]);
      let removed = 0;
      for (const [tenantId, setIds] of byTenant)
        removed += await withTransaction(pool, (tx) => removeSets(tx, tenantId, setIds));
      return removed;
    },
  };
}

/**
 * A snapshot relies on a set that stands, and refers to it only when it commits. It holds the lock
 * shared meanwhile; looking again under the exclusive lock sees what it committed.
 */
async function removeSets(tx: Tx, tenantId: string, setIds: readonly Buffer[]): Promise<number> {
  await tx.query(
    `select pg_advisory_xact_lock(hashtextextended('murmur.catalog.sets.' || $1::text, 0))`,
    [tenantId],
  );
  return (await tx.query(REMOVE_SETS, [tenantId, setIds])).rowCount;
}
