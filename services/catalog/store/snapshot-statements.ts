/**
 * $1 tenant, $2 agent ids, sorted. The advisory lock keeps the sets that this transaction will refer
 * to from being pruned before it commits.
 */
export const LOCK_AGENTS = `
with guard as materialized (
  select pg_advisory_xact_lock_shared(hashtextextended('murmur.catalog.sets.' || $1::text, 0))
)
insert into catalog.agents as a (tenant_id, agent_id, generation)
select $1, agent_id, 1 from guard, unnest($2::uuid[]) as agent_id
order by agent_id
on conflict (tenant_id, agent_id) do update set generation = a.generation + 1
returning agent_id, generation, floor, set_id, delivered_names, ended_at is not null as has_ended,
  lease_owner_kind, lease_owner_id`;

/**
 * $1 tenant, $2 workspaces, $3 agent ids, $4 VM ids, $5 set ids, $6 actor, $7 request id,
 * $8 developers.
 */
export const READ_FACTS = `
with spaces as materialized (
  select name, secret_refs from catalog.workspaces where tenant_id = $1 and name = any($2::text[])
), takes as materialized (
  select coalesce(bool_or(secret_refs is null), false) as everything from spaces
), taken as (
  select s.* from takes, catalog.secrets s
  where takes.everything and s.tenant_id = $1 and s.owner = '' and not s.is_deleted
  union all
  select s.* from takes, (select distinct unnest(secret_refs) as name from spaces) as refs
  join catalog.secrets s
    on s.tenant_id = $1 and s.owner = '' and s.name = refs.name and not s.is_deleted
  where not takes.everything
)
select
  (select json_agg(json_build_array(name, 'tenant', version_id, as_file, size_bytes) order by name)
   from taken) as secrets,
  (select json_agg(json_build_array(name, secret_refs)) from spaces) as workspaces,
  (select json_agg(json_build_array(owner,
      json_build_array(name, 'spawn', id, as_file, size_bytes)) order by owner, name)
   from (select distinct on (owner, name) * from catalog.secret_versions
     where tenant_id = $1 and kind = 'spawn' and owner = any($3::text[])
     order by owner, name, version desc) as own) as spawn_secrets,
  (select json_agg(json_build_array(name, 'user', version_id, as_file, size_bytes, owner, name)
      order by owner, name)
   from catalog.secrets
   where tenant_id = $1 and owner = any($8::text[]) and not is_deleted) as user_secrets,
  (select json_agg(json_build_array(name, github_token_secret)) from catalog.users
   where tenant_id = $1 and name = any($8) and github_token_secret is not null) as token_secrets,
  (select json_agg(json_build_array(encode(set_id, 'hex'), refs)) from catalog.environment_sets
   where tenant_id = $1 and set_id = any($5::bytea[])) as sets,
  (select json_agg(id) from catalog.vms
   where tenant_id = $1 and id = any($4::text[]) and removed_at is null) as vm_ids,
  (select json_build_array(data_key_id, encode(body_hash, 'hex'), answer) from catalog.requests
   where tenant_id = $1 and method = 'SnapshotEnvironments' and actor = $6 and request_id = $7
     and expires_at > clock_timestamp()) as earlier`;

/** $1 tenant, $2 agent ids, $3 generations. */
export const READ_GENERATIONS = `
select g.agent_id, g.generation, g.vm_id, g.set_id, g.unset_names, g.data_key_id, g.mac, a.floor,
  s.refs
from unnest($2::uuid[], $3::bigint[]) as wanted (agent_id, generation)
join catalog.generations g using (agent_id, generation)
join catalog.agents a on a.tenant_id = g.tenant_id and a.agent_id = g.agent_id
join catalog.environment_sets s on s.tenant_id = g.tenant_id and s.set_id = g.set_id
where g.tenant_id = $1 and g.agent_id = any($2::uuid[])`;

/** $1 tenant, $2 version ids. */
export const READ_DEAD_VERSIONS = `
select v.id from catalog.secret_versions v
left join catalog.secrets s
  on s.tenant_id = v.tenant_id and s.owner = v.owner and s.name = v.name and v.kind <> 'spawn'
where v.tenant_id = $1 and v.id = any($2::uuid[])
  and (v.sealed is null or v.retired_at is not null or s.last_deleted_version > v.version)`;

/**
 * $1 tenant, $2 actor kind, $3 actor, $4 peer, $5 data key id, $6 sets, $7 generations, $8 audit,
 * $9 request id, $10 hash of its body, $11 its answer, $12 agent ids (the planner cannot guess how
 * few they are, and would read every agent of the tenant).
 */
export const WRITE_SNAPSHOT = `
with fresh as materialized (
  select * from jsonb_to_recordset($7::jsonb) as fresh (agent_id uuid, generation bigint,
    workspace text, vm_id text, set_id text, unset_names jsonb, delivered_names jsonb, mac text)
), sets as (
  insert into catalog.environment_sets (tenant_id, set_id, refs)
  select $1, decode(set_id, 'hex'), refs
  from jsonb_to_recordset($6::jsonb) as sets (set_id text, refs jsonb)
  on conflict do nothing
), generations as (
  insert into catalog.generations (tenant_id, agent_id, generation, vm_id, set_id, unset_names,
    data_key_id, mac)
  select $1, agent_id, generation, vm_id, decode(set_id, 'hex'), unset_names, $5::uuid,
    decode(mac, 'hex')
  from fresh
), answered as (
  insert into catalog.requests (tenant_id, method, actor, request_id, data_key_id, body_hash,
    answer, expires_at)
  select $1, 'SnapshotEnvironments', $3, $9::text, $5, $10::bytea, $11::jsonb,
    clock_timestamp() + interval '1 hour'
  where $9 is not null
  on conflict (tenant_id, method, actor, request_id) do update set
    data_key_id = excluded.data_key_id, body_hash = excluded.body_hash,
    answer = excluded.answer, expires_at = excluded.expires_at
  where catalog.requests.expires_at <= clock_timestamp()
  returning 1
), audited as (
  insert into catalog.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind, object_id,
    outcome, detail)
  select $1, $2, $3, $4, action, object_kind, object_id, outcome, detail
  from jsonb_to_recordset($8::jsonb) as entry (action text, object_kind text, object_id text,
    outcome text, detail jsonb)
), updated as (
  update catalog.agents a set
    set_id = decode(fresh.set_id, 'hex'),
    workspace = fresh.workspace,
    vm_id = fresh.vm_id,
    delivered_names = fresh.delivered_names,
    lease_expires_at = null,
    lease_owner_kind = null,
    lease_owner_id = null,
    updated_at = clock_timestamp()
  from fresh
  where a.tenant_id = $1 and a.agent_id = fresh.agent_id and a.agent_id = any($12::uuid[])
)
select $9 is null or exists (select from answered) as is_answered`;
