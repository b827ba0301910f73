-- What the migrations of this folder make of an empty database. Never run; a test compares.
create schema catalog;

create table catalog.agents (
  tenant_id text collate "C" not null,
  agent_id uuid not null,
  generation bigint default 0 not null,
  set_id bytea,
  floor bigint default 0 not null,
  confirmed bigint default 0 not null,
  workspace text collate "C",
  vm_id text collate "C",
  delivered_names jsonb default '[]'::jsonb not null,
  lease_expires_at timestamp with time zone,
  lease_owner_kind text,
  lease_owner_id text collate "C",
  ended_at timestamp with time zone,
  updated_at timestamp with time zone default clock_timestamp() not null,
  constraint agents_pkey PRIMARY KEY (tenant_id, agent_id)
);
CREATE INDEX agents_lease ON catalog.agents USING btree (lease_expires_at) WHERE (lease_expires_at IS NOT NULL);
CREATE INDEX agents_workspace ON catalog.agents USING btree (workspace, tenant_id) WHERE (ended_at IS NULL);

create table catalog.audit (
  id bigint generated always as identity not null,
  xid xid8 default pg_current_xact_id() not null,
  tenant_id text collate "C" not null,
  at timestamp with time zone default clock_timestamp() not null,
  actor_kind text not null,
  actor_id text not null,
  action text not null,
  object_kind text not null,
  object_id text not null,
  outcome text not null,
  peer text not null,
  detail jsonb default '{}'::jsonb not null,
  constraint audit_pkey PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_order ON catalog.audit USING btree (xid, id);

create table catalog.audit_chain (
  tenant_id text collate "C" not null,
  sequence bigint not null,
  audit_id bigint not null,
  epoch integer not null,
  hash bytea not null,
  constraint audit_chain_pkey PRIMARY KEY (tenant_id, sequence),
  constraint audit_chain_tenant_id_audit_id_key UNIQUE (tenant_id, audit_id)
);

create table catalog.audit_checkpoints (
  tenant_id text collate "C" not null,
  size bigint not null,
  head bytea not null,
  at timestamp with time zone not null,
  key_id text collate "C" not null,
  signature bytea not null,
  constraint audit_checkpoints_pkey PRIMARY KEY (tenant_id, size, key_id)
);

create table catalog.audit_sealer (
  is_only boolean default true not null,
  holder uuid not null,
  lease_until timestamp with time zone not null,
  cursor_xid xid8 default '0'::xid8 not null,
  cursor_id bigint default '-1'::integer not null,
  epoch integer default 1 not null,
  system_identifier bigint not null,
  rival_until timestamp with time zone default '-infinity'::timestamp with time zone not null,
  constraint audit_sealer_is_only_check CHECK (is_only),
  constraint audit_sealer_pkey PRIMARY KEY (is_only)
);

create table catalog.data_keys (
  tenant_id text collate "C" not null,
  id uuid not null,
  wrapped bytea not null,
  is_current boolean not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  wrapped_for bigint default 0 not null,
  constraint data_keys_pkey PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX data_keys_current ON catalog.data_keys USING btree (tenant_id) WHERE is_current;

create table catalog.departed_vms (
  tenant_id text collate "C" not null,
  id text collate "C" not null,
  name text collate "C" not null,
  identity_key bytea not null,
  key_thumbprint text collate "C" not null,
  constraint departed_vms_identity_key_check CHECK ((octet_length(identity_key) = 32)),
  constraint departed_vms_pkey PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX departed_vms_id ON catalog.departed_vms USING btree (id);

create table catalog.ended_tenants (
  tenant_id text collate "C" not null,
  ended_at timestamp with time zone default clock_timestamp() not null,
  ended_xid xid8 default pg_current_xact_id() not null,
  constraint ended_tenants_pkey PRIMARY KEY (tenant_id)
);
CREATE INDEX ended_tenants_new ON catalog.ended_tenants USING btree (ended_xid);

create table catalog.environment_sets (
  tenant_id text collate "C" not null,
  set_id bytea not null,
  refs jsonb not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  constraint environment_sets_pkey PRIMARY KEY (tenant_id, set_id)
);

create table catalog.generations (
  tenant_id text collate "C" not null,
  agent_id uuid not null,
  generation bigint not null,
  vm_id text collate "C" not null,
  set_id bytea not null,
  unset_names jsonb not null,
  data_key_id uuid not null,
  mac bytea not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  constraint generations_pkey PRIMARY KEY (tenant_id, agent_id, generation)
);
CREATE INDEX generations_set ON catalog.generations USING btree (tenant_id, set_id);

create table catalog.join_tokens (
  tenant_id text collate "C" not null,
  id text collate "C" not null,
  token_hash bytea not null,
  vm_name text collate "C" not null,
  issued_by text not null,
  issued_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  data_key_id uuid not null,
  mac bytea not null,
  used_at timestamp with time zone,
  used_key bytea,
  used_from text,
  vm_id text collate "C",
  constraint join_tokens_pkey PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX join_tokens_id ON catalog.join_tokens USING btree (id);
CREATE UNIQUE INDEX join_tokens_unused ON catalog.join_tokens USING btree (tenant_id, vm_name) WHERE (used_at IS NULL);

create table catalog.key_check (
  id smallint default 1 not null,
  provider text not null,
  wrapped bytea not null,
  digest bytea not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  constraint key_check_id_check CHECK ((id = 1)),
  constraint key_check_pkey PRIMARY KEY (id)
);

create table catalog.key_rotations (
  tenant_id text collate "C" not null,
  number bigint not null,
  requested_by text not null,
  made_key boolean not null,
  started_at timestamp with time zone default clock_timestamp() not null,
  finished_at timestamp with time zone,
  data_keys integer default 0 not null,
  damaged_data_keys integer default 0 not null,
  constraint key_rotations_pkey PRIMARY KEY (tenant_id, number)
);
CREATE UNIQUE INDEX key_rotations_open ON catalog.key_rotations USING btree (tenant_id) WHERE (finished_at IS NULL);

create table catalog.removed_vms (
  sequence bigint not null,
  tenant_id text collate "C" not null,
  vm_id text collate "C" not null,
  removed_at timestamp with time zone not null,
  constraint removed_vms_pkey PRIMARY KEY (sequence)
);

create table catalog.requests (
  tenant_id text collate "C" not null,
  method text collate "C" not null,
  actor text collate "C" not null,
  request_id text collate "C" not null,
  data_key_id uuid not null,
  body_hash bytea not null,
  answer jsonb not null,
  expires_at timestamp with time zone not null,
  constraint requests_pkey PRIMARY KEY (tenant_id, method, actor, request_id)
);
CREATE INDEX requests_expiry ON catalog.requests USING btree (expires_at);

create table catalog.schema_migrations (
  version integer not null,
  name text not null,
  checksum text not null,
  breaking boolean not null,
  applied_at timestamp with time zone default now() not null,
  constraint schema_migrations_pkey PRIMARY KEY (version)
);

create table catalog.secret_versions (
  tenant_id text collate "C" not null,
  id uuid not null,
  kind text not null,
  owner text collate "C" not null,
  name text collate "C" not null,
  version bigint not null,
  data_key_id uuid,
  sealed bytea,
  size_bytes integer not null,
  as_file boolean not null,
  written_at timestamp with time zone not null,
  written_by text not null,
  destroyed_at timestamp with time zone,
  retired_at timestamp with time zone,
  constraint secret_versions_kind_check CHECK ((kind = ANY (ARRAY['tenant'::text, 'user'::text, 'spawn'::text]))),
  constraint secret_versions_pkey PRIMARY KEY (tenant_id, id),
  constraint secret_versions_tenant_id_kind_owner_name_version_key UNIQUE (tenant_id, kind, owner, name, version)
);

create table catalog.secrets (
  tenant_id text collate "C" not null,
  owner text collate "C" not null,
  name text collate "C" not null,
  version bigint not null,
  version_id uuid,
  size_bytes integer not null,
  as_file boolean not null,
  description text,
  is_deleted boolean default false not null,
  last_deleted_version bigint default 0 not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  updated_by text not null,
  constraint secrets_pkey PRIMARY KEY (tenant_id, owner, name)
);
CREATE UNIQUE INDEX secrets_variable ON catalog.secrets USING btree (tenant_id, owner, (
CASE
    WHEN as_file THEN (name || '_FILE'::text)
    ELSE name
END)) WHERE (NOT is_deleted);

create table catalog.staged_credentials (
  tenant_id text collate "C" not null,
  staged_id uuid not null,
  secret_name text collate "C" not null,
  current_version bigint not null,
  version_id uuid not null,
  data_key_id uuid,
  sealed bytea,
  size_bytes integer not null,
  developer text not null,
  api_key_id text,
  staged_at timestamp with time zone default clock_timestamp() not null,
  stored_version bigint,
  done_at timestamp with time zone,
  constraint staged_credentials_pkey PRIMARY KEY (tenant_id, staged_id)
);
CREATE INDEX staged_credentials_done ON catalog.staged_credentials USING btree (done_at) WHERE (done_at IS NOT NULL);

create table catalog.users (
  tenant_id text collate "C" not null,
  name text collate "C" not null,
  github_token_secret text collate "C",
  revision bigint not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  updated_by text not null,
  constraint users_pkey PRIMARY KEY (tenant_id, name)
);

create table catalog.vm_removals (
  id smallint default 1 not null,
  last_sequence bigint not null,
  constraint vm_removals_id_check CHECK ((id = 1)),
  constraint vm_removals_pkey PRIMARY KEY (id)
);

create table catalog.vms (
  tenant_id text collate "C" not null,
  id text collate "C" not null,
  name text collate "C" not null,
  identity_key bytea not null,
  key_thumbprint text collate "C" not null,
  joined_at timestamp with time zone not null,
  last_seen_at timestamp with time zone not null,
  refused_at timestamp with time zone,
  removed_at timestamp with time zone,
  data_key_id uuid not null,
  mac bytea not null,
  constraint vms_identity_key_check CHECK ((octet_length(identity_key) = 32)),
  constraint vms_pkey PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX vms_id ON catalog.vms USING btree (id);
CREATE UNIQUE INDEX vms_name ON catalog.vms USING btree (tenant_id, name) WHERE (removed_at IS NULL);

create table catalog.workspaces (
  tenant_id text collate "C" not null,
  name text collate "C" not null,
  description text,
  secret_refs text[],
  vms text[] not null,
  revision bigint not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  updated_by text not null,
  constraint workspaces_pkey PRIMARY KEY (tenant_id, name)
);
