-- Secrets, their encryption keys, workspaces, and the generations of agents' environments.
-- Names sort and compare by bytes (collate "C"), as the pages of lists do.

-- One row: proves that the key provider of this process is the one that wrapped the data keys.
create table key_check (
  id         smallint primary key default 1 check (id = 1),
  provider   text not null,
  wrapped    bytea not null,
  -- SHA-256 of what `wrapped` opens to.
  digest     bytea not null,
  created_at timestamptz not null default clock_timestamp()
);

-- Data keys, wrapped by the key provider. One per tenant is current; older ones still open what
-- they sealed.
create table data_keys (
  tenant_id  text collate "C" not null,
  id         uuid not null,
  wrapped    bytea not null,
  is_current boolean not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, id)
);
create unique index data_keys_current on data_keys (tenant_id) where is_current;

-- Secrets as they are now: the tenant's (owner ''), and developers' own (owner `provider/username`).
-- A deleted one keeps its row, so that version numbers go on.
create table secrets (
  tenant_id            text collate "C" not null,
  owner                text collate "C" not null,
  name                 text collate "C" not null,
  version              bigint not null,
  -- The current version's row; null when deleted.
  version_id           uuid,
  size_bytes           integer not null,
  as_file              boolean not null,
  description          text,
  is_deleted           boolean not null default false,
  -- The highest version number that records a deletion; versions below are dead for rollbacks.
  last_deleted_version bigint not null default 0,
  created_at           timestamptz not null,
  updated_at           timestamptz not null,
  updated_by           text not null,
  primary key (tenant_id, owner, name)
) with (fillfactor = 80);
-- A file-delivered NAME fills the variable NAME_FILE, which no other secret of its owner may then fill.
create unique index secrets_variable
  on secrets (tenant_id, owner, (case when as_file then name || '_FILE' else name end))
  where not is_deleted;

-- Every version of every secret, immutable. `id` is made before the value is sealed, as it is part
-- of the associated data. Kinds: tenant (owner ''), user (owner: the developer), spawn (owner: the
-- agent's id).
create table secret_versions (
  tenant_id   text collate "C" not null,
  id          uuid not null,
  kind        text not null check (kind in ('tenant', 'user', 'spawn')),
  owner       text collate "C" not null,
  name        text collate "C" not null,
  version     bigint not null,
  -- Both null for an entry that records a deletion, and for a version that was destroyed.
  data_key_id uuid,
  sealed      bytea,
  size_bytes  integer not null,
  as_file     boolean not null,
  written_at  timestamptz not null,
  written_by  text not null,
  -- When it was made unreadable for ever.
  destroyed_at timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, kind, owner, name, version)
);
-- Values are sealed: compressing them costs time and gains nothing.
alter table secret_versions alter column sealed set storage external;

-- Developers' profiles.
create table users (
  tenant_id           text collate "C" not null,
  -- `provider/username`.
  name                text collate "C" not null,
  -- Which of the developer's secrets becomes GH_TOKEN; null: none.
  github_token_secret text collate "C",
  revision            bigint not null,
  created_at          timestamptz not null,
  updated_at          timestamptz not null,
  updated_by          text not null,
  primary key (tenant_id, name)
);

create table workspaces (
  tenant_id   text collate "C" not null,
  name        text collate "C" not null,
  description text,
  -- Null: all tenant secrets; empty: none.
  secret_refs text[],
  vms         text[] not null,
  revision    bigint not null,
  created_at  timestamptz not null,
  updated_at  timestamptz not null,
  updated_by  text not null,
  primary key (tenant_id, name)
);

-- Agents that have or await a generation. The row is the lock under which generations are numbered.
create table agents (
  tenant_id        text collate "C" not null,
  agent_id         uuid not null,
  -- The newest generation; 0 before the first.
  generation       bigint not null default 0,
  -- The set of the newest generation.
  set_id           bytea,
  -- Generations below are refused.
  floor            bigint not null default 0,
  -- Generations up to this one no longer expire by themselves.
  confirmed        bigint not null default 0,
  workspace        text collate "C",
  vm_id            text collate "C",
  -- Names of variables that any generation had, sorted.
  delivered_names  jsonb not null default '[]',
  -- Until when spawn-time secrets wait for the first snapshot.
  lease_expires_at timestamptz,
  -- Who stored them: nobody else may replace them, and no other's agent gets them.
  lease_owner_kind text,
  lease_owner_id   text collate "C",
  ended_at         timestamptz,
  updated_at       timestamptz not null default clock_timestamp(),
  primary key (tenant_id, agent_id)
) with (fillfactor = 80);
create index agents_lease on agents (lease_expires_at) where lease_expires_at is not null;
-- Not by tenant first: before the first analyze it would be taken for look-ups by the agent's id.
create index agents_workspace on agents (workspace, tenant_id) where ended_at is null;

-- Sets of secret versions, by the SHA-256 of what they hold: agents with one content share one row.
create table environment_sets (
  tenant_id  text collate "C" not null,
  set_id     bytea not null,
  -- Sorted by name: [[name, kind, version id, as file, bytes], ...].
  refs       jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, set_id)
);

create table generations (
  tenant_id   text collate "C" not null,
  agent_id    uuid not null,
  generation  bigint not null,
  -- The only VM that may have it.
  vm_id       text collate "C" not null,
  set_id      bytea not null,
  -- Names of variables that an earlier generation had and this one has not, sorted.
  unset_names jsonb not null,
  -- Over all of the above, under a subkey of the data key.
  data_key_id uuid not null,
  mac         bytea not null,
  created_at  timestamptz not null default clock_timestamp(),
  primary key (tenant_id, agent_id, generation)
);
create index generations_set on generations (tenant_id, set_id);

-- Answers to calls with a request id, for as long as the call may be repeated.
create table requests (
  tenant_id   text collate "C" not null,
  method      text collate "C" not null,
  actor       text collate "C" not null,
  request_id  text collate "C" not null,
  -- HMAC of the request under a subkey of this data key: it tells another body, and no value.
  data_key_id uuid not null,
  body_hash   bytea not null,
  answer      jsonb not null,
  expires_at  timestamptz not null,
  primary key (tenant_id, method, actor, request_id)
);
create index requests_expiry on requests (expires_at);

-- Who did what to which object; never a value. Written by the transaction that it records.
create table audit (
  id          bigint generated always as identity,
  xid         xid8 not null default pg_current_xact_id(),
  tenant_id   text collate "C" not null,
  at          timestamptz not null default clock_timestamp(),
  actor_kind  text not null,
  actor_id    text not null,
  action      text not null,
  object_kind text not null,
  object_id   text not null,
  outcome     text not null,
  peer        text not null,
  detail      jsonb not null default '{}',
  primary key (tenant_id, id)
);
