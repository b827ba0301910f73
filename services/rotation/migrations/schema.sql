-- What the migrations of this folder make of an empty database. Never run; a test compares.
create schema rotation;

create table rotation.agent_invitations (
  hash bytea not null,
  tenant_id text collate "C" not null,
  inviter text collate "C" not null,
  role text not null,
  expires_at timestamp with time zone not null,
  agent_id uuid,
  constraint agent_invitations_role_check CHECK ((role = ANY (ARRAY['member'::text, 'admin'::text, 'owner'::text]))),
  constraint agent_invitations_pkey PRIMARY KEY (hash)
);
CREATE INDEX agent_invitations_expired ON rotation.agent_invitations USING btree (expires_at);

create table rotation.agents (
  tenant_id text collate "C" not null,
  agent_id uuid not null,
  workspace text collate "C" not null,
  slug text collate "C" not null,
  path text collate "C" not null,
  parent_id uuid,
  root_id uuid not null,
  ancestor_ids uuid[] default '{}'::uuid[] not null,
  vm_id text collate "C" not null,
  vm_name text not null,
  developer text not null,
  command text[] not null,
  working_directory text not null,
  request_hash bytea not null,
  expects_spawn_secrets boolean default false not null,
  binding bytea not null,
  launch_mac bytea not null,
  phase text default 'starting'::text not null,
  kill_requested boolean default false not null,
  desired bigint default 0 not null,
  desired_at timestamp with time zone,
  applied bigint default 0 not null,
  applied_at timestamp with time zone,
  failed_generation bigint,
  failed_reason text,
  failed_at timestamp with time zone,
  exit_kind text,
  exit_value text,
  processes jsonb default '[]'::jsonb not null,
  settings jsonb,
  reload jsonb,
  adoption jsonb,
  reported_at timestamp with time zone,
  created_at timestamp with time zone default clock_timestamp() not null,
  ended_at timestamp with time zone,
  revision bigint default 1 not null,
  release_due boolean default false not null,
  release_after timestamp with time zone default '-infinity'::timestamp with time zone not null,
  health_check jsonb,
  health jsonb,
  used bigint default 0 not null,
  constraint agents_exit_kind_check CHECK ((exit_kind = ANY (ARRAY['code'::text, 'signal'::text, 'unknown'::text]))),
  constraint agents_phase_check CHECK ((phase = ANY (ARRAY['starting'::text, 'running'::text, 'idle'::text, 'completed'::text, 'failed'::text, 'cancelled'::text]))),
  constraint agents_tenant_id_root_id_fkey FOREIGN KEY (tenant_id, root_id) REFERENCES rotation.trees(tenant_id, root_id),
  constraint agents_pkey PRIMARY KEY (tenant_id, agent_id)
);
CREATE INDEX agents_failing ON rotation.agents USING btree (failed_at) WHERE ((failed_generation IS NOT NULL) AND (phase = ANY (ARRAY['starting'::text, 'running'::text, 'idle'::text])));
CREATE UNIQUE INDEX agents_living_slug ON rotation.agents USING btree (tenant_id, workspace, parent_id, slug) NULLS NOT DISTINCT WHERE (phase = ANY (ARRAY['starting'::text, 'running'::text, 'idle'::text]));
CREATE INDEX agents_living_vm ON rotation.agents USING btree (tenant_id, vm_id) WHERE (phase = ANY (ARRAY['starting'::text, 'running'::text, 'idle'::text]));
CREATE INDEX agents_path ON rotation.agents USING btree (tenant_id, workspace, path, created_at);
CREATE INDEX agents_release_due ON rotation.agents USING btree (release_after) WHERE release_due;
CREATE INDEX agents_tree ON rotation.agents USING btree (tenant_id, root_id);
CREATE INDEX agents_without_generation ON rotation.agents USING btree (created_at) WHERE ((phase = 'starting'::text) AND (desired = 0));

create table rotation.attempts (
  tenant_id text collate "C" not null,
  limit_name text collate "C" not null,
  subject text collate "C" not null,
  times timestamp with time zone[] not null,
  over_at timestamp with time zone not null,
  constraint attempts_pkey PRIMARY KEY (tenant_id, limit_name, subject)
);
CREATE INDEX attempts_over ON rotation.attempts USING btree (over_at);

create table rotation.audit (
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
CREATE INDEX audit_order ON rotation.audit USING btree (xid, id);

create table rotation.audit_chain (
  tenant_id text collate "C" not null,
  sequence bigint not null,
  audit_id bigint not null,
  epoch integer not null,
  hash bytea not null,
  constraint audit_chain_pkey PRIMARY KEY (tenant_id, sequence),
  constraint audit_chain_tenant_id_audit_id_key UNIQUE (tenant_id, audit_id)
);

create table rotation.audit_checkpoints (
  tenant_id text collate "C" not null,
  size bigint not null,
  head bytea not null,
  at timestamp with time zone not null,
  key_id text collate "C" not null,
  signature bytea not null,
  constraint audit_checkpoints_pkey PRIMARY KEY (tenant_id, size, key_id)
);

create table rotation.audit_sealer (
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

create table rotation.canaries (
  tenant_id text collate "C" not null,
  rollout_id uuid not null,
  stage text not null,
  stage_until timestamp with time zone not null,
  agent_ids uuid[] not null,
  waiting_ids uuid[] not null,
  has_health boolean not null,
  then_wait_ms bigint not null,
  reason text default ''::text not null,
  look_after timestamp with time zone default '-infinity'::timestamp with time zone not null,
  constraint canaries_stage_check CHECK ((stage = ANY (ARRAY['canary'::text, 'waiting'::text, 'following'::text, 'rolling-back'::text, 'passed'::text, 'rolled-back'::text, 'stopped'::text]))),
  constraint canaries_tenant_id_rollout_id_fkey FOREIGN KEY (tenant_id, rollout_id) REFERENCES rotation.rollouts(tenant_id, rollout_id),
  constraint canaries_pkey PRIMARY KEY (tenant_id, rollout_id)
);
CREATE INDEX canaries_open ON rotation.canaries USING btree (look_after) WHERE (stage = ANY (ARRAY['canary'::text, 'waiting'::text, 'following'::text, 'rolling-back'::text]));

create table rotation.credential_use_reports (
  replica_id text not null,
  known_at timestamp with time zone not null,
  reported_at timestamp with time zone default clock_timestamp() not null,
  constraint credential_use_reports_pkey PRIMARY KEY (replica_id)
);

create table rotation.credentials (
  sequence bigint generated always as identity not null,
  tenant_id text collate "C" not null,
  credential_id uuid not null,
  kind text not null,
  label text not null,
  agent_name text not null,
  scopes text[] not null,
  hash bytea not null,
  prefix text not null,
  owner text collate "C" not null,
  role text not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  replaces uuid,
  replaced_by uuid,
  registered_agent_id uuid,
  rotation_secret_hash bytea,
  first_used_at timestamp with time zone,
  last_used_at timestamp with time zone,
  changed_xid xid8,
  secret_name text collate "C",
  made_with uuid,
  maker_expires_at timestamp with time zone,
  made_from text,
  constraint credentials_kind_check CHECK ((kind = ANY (ARRAY['api-key'::text, 'agent-token'::text, 'session'::text]))),
  constraint credentials_role_check CHECK ((role = ANY (ARRAY['member'::text, 'admin'::text, 'owner'::text]))),
  constraint credentials_tenant_id_made_with_fkey FOREIGN KEY (tenant_id, made_with) REFERENCES rotation.credentials(tenant_id, credential_id),
  constraint credentials_tenant_id_owner_fkey FOREIGN KEY (tenant_id, owner) REFERENCES rotation.people(tenant_id, developer),
  constraint credentials_tenant_id_registered_agent_id_fkey FOREIGN KEY (tenant_id, registered_agent_id) REFERENCES rotation.self_rotating_agents(tenant_id, agent_id),
  constraint credentials_tenant_id_replaces_fkey FOREIGN KEY (tenant_id, replaces) REFERENCES rotation.credentials(tenant_id, credential_id),
  constraint credentials_pkey PRIMARY KEY (tenant_id, credential_id),
  constraint credentials_hash_key UNIQUE (hash),
  constraint credentials_tenant_id_replaces_key UNIQUE (tenant_id, replaces)
);
CREATE INDEX credentials_changed ON rotation.credentials USING btree (changed_xid) WHERE (changed_xid IS NOT NULL);
CREATE INDEX credentials_listed ON rotation.credentials USING btree (tenant_id, sequence);
CREATE INDEX credentials_of_agent ON rotation.credentials USING btree (tenant_id, registered_agent_id, sequence) WHERE (registered_agent_id IS NOT NULL);
CREATE INDEX credentials_of_owner ON rotation.credentials USING btree (tenant_id, owner, sequence);
CREATE INDEX sessions_of_key ON rotation.credentials USING btree (tenant_id, made_with) WHERE (made_with IS NOT NULL);
CREATE INDEX sessions_over ON rotation.credentials USING btree (expires_at) WHERE (kind = 'session'::text);

create table rotation.ended_tenants (
  tenant_id text collate "C" not null,
  ended_at timestamp with time zone default clock_timestamp() not null,
  ended_xid xid8 default pg_current_xact_id() not null,
  constraint ended_tenants_pkey PRIMARY KEY (tenant_id)
);
CREATE INDEX ended_tenants_new ON rotation.ended_tenants USING btree (ended_xid);

create table rotation.evidence_cases (
  tenant_id text collate "C" not null,
  sequence bigint generated always as identity not null,
  successor_id uuid not null,
  credential_id uuid not null,
  stage text default 'storing'::text not null,
  is_done boolean default false not null,
  secret_name text collate "C" not null,
  from_version bigint default 1 not null,
  secret_version bigint,
  grace_seconds bigint not null,
  begun_by text not null,
  begun_at timestamp with time zone default clock_timestamp() not null,
  stored_at timestamp with time zone,
  deadline timestamp with time zone,
  ended_at timestamp with time zone,
  agents_before uuid[] default '{}'::uuid[] not null,
  rollout_id uuid,
  rekey_after timestamp with time zone default '-infinity'::timestamp with time zone not null,
  laggards jsonb default '[]'::jsonb not null,
  laggard_count integer default 0 not null,
  looked_at timestamp with time zone,
  alarmed integer default 0 not null,
  problem text default ''::text not null,
  look_after timestamp with time zone default '-infinity'::timestamp with time zone not null,
  constraint evidence_cases_stage_check CHECK ((stage = ANY (ARRAY['storing'::text, 'gathering'::text, 'evidence'::text, 'deadline'::text, 'revoked'::text, 'cancelled'::text]))),
  constraint evidence_cases_tenant_id_credential_id_fkey FOREIGN KEY (tenant_id, credential_id) REFERENCES rotation.credentials(tenant_id, credential_id),
  constraint evidence_cases_tenant_id_successor_id_fkey FOREIGN KEY (tenant_id, successor_id) REFERENCES rotation.credentials(tenant_id, credential_id),
  constraint evidence_cases_pkey PRIMARY KEY (tenant_id, successor_id)
);
CREATE INDEX evidence_cases_due ON rotation.evidence_cases USING btree (look_after) WHERE (NOT is_done);
CREATE INDEX evidence_cases_of_credential ON rotation.evidence_cases USING btree (tenant_id, credential_id, sequence);
CREATE UNIQUE INDEX evidence_cases_open ON rotation.evidence_cases USING btree (tenant_id, credential_id) WHERE (stage = ANY (ARRAY['storing'::text, 'gathering'::text]));

create table rotation.exchanged_tokens (
  tenant_id text collate "C" not null,
  digest bytea not null,
  expires_at timestamp with time zone not null,
  constraint exchanged_tokens_pkey PRIMARY KEY (digest)
);
CREATE INDEX exchanged_tokens_expired ON rotation.exchanged_tokens USING btree (expires_at);

create table rotation.generations (
  tenant_id text collate "C" not null,
  agent_id uuid not null,
  generation bigint not null,
  fingerprint bytea not null,
  constraint generations_tenant_id_agent_id_fkey FOREIGN KEY (tenant_id, agent_id) REFERENCES rotation.agents(tenant_id, agent_id) ON DELETE CASCADE,
  constraint generations_pkey PRIMARY KEY (tenant_id, agent_id, generation)
);

create table rotation.outbox (
  id bigint generated always as identity not null,
  xid xid8 default pg_current_xact_id() not null,
  at timestamp with time zone default clock_timestamp() not null,
  event_id uuid not null,
  rotation_id text not null,
  tenant_id text collate "C" not null,
  vm_id text collate "C" not null,
  targets jsonb not null,
  traceparent text not null,
  constraint outbox_pkey PRIMARY KEY (xid, id)
);

create table rotation.outbox_publisher (
  name text not null,
  holder uuid not null,
  lease_until timestamp with time zone not null,
  cursor_xid xid8 default '0'::xid8 not null,
  cursor_id bigint default '-1'::integer not null,
  system_identifier bigint not null,
  constraint outbox_publisher_pkey PRIMARY KEY (name)
);

create table rotation.people (
  tenant_id text collate "C" not null,
  developer text collate "C" not null,
  role text not null,
  added_at timestamp with time zone default clock_timestamp() not null,
  added_by text not null,
  removed_at timestamp with time zone,
  tokens_after timestamp with time zone,
  signs_in_as text,
  changed_xid xid8,
  constraint people_role_check CHECK ((role = ANY (ARRAY['member'::text, 'admin'::text, 'owner'::text]))),
  constraint people_pkey PRIMARY KEY (tenant_id, developer)
);
CREATE INDEX people_changed ON rotation.people USING btree (changed_xid) WHERE (changed_xid IS NOT NULL);
CREATE INDEX people_tenants ON rotation.people USING btree (developer, tenant_id);

create table rotation.registered_agents (
  sequence bigint generated always as identity not null,
  tenant_id text collate "C" not null,
  agent_id uuid not null,
  name text not null,
  owner text collate "C",
  created_at timestamp with time zone default clock_timestamp() not null,
  agent_hash bytea,
  key_prefix text default ''::text not null,
  rekeyed_at timestamp with time zone,
  rekey_count integer default 0 not null,
  observed_at timestamp with time zone,
  deactivated_at timestamp with time zone,
  traces bigint default 0 not null,
  scores bigint default 0 not null,
  trust_edges bigint default 0 not null,
  constraint registered_agents_agent_hash_check CHECK ((octet_length(agent_hash) = 8)),
  constraint registered_agents_pkey PRIMARY KEY (tenant_id, agent_id),
  constraint registered_agents_hash UNIQUE (tenant_id, agent_hash)
);
CREATE INDEX registered_agents_listed ON rotation.registered_agents USING btree (tenant_id, sequence);
CREATE INDEX registered_agents_of_owner ON rotation.registered_agents USING btree (tenant_id, owner, sequence);

create table rotation.removals_cursor (
  one boolean default true not null,
  sequence bigint not null,
  constraint removals_cursor_one_check CHECK (one),
  constraint removals_cursor_pkey PRIMARY KEY (one)
);

create table rotation.replicas (
  replica_id text not null,
  beat_at timestamp with time zone default clock_timestamp() not null,
  constraint replicas_pkey PRIMARY KEY (replica_id)
);

create table rotation.rollouts (
  tenant_id text collate "C" not null,
  rollout_id uuid not null,
  request_hash bytea not null,
  workspace text collate "C" not null,
  agent_id uuid,
  path text collate "C" not null,
  requested_by text not null,
  reason text not null,
  unchanged boolean not null,
  warnings text[] not null,
  open_targets integer not null,
  accepted_at timestamp with time zone default clock_timestamp() not null,
  completed_at timestamp with time zone,
  sequence bigint generated always as identity not null,
  kind text default 'rekey'::text not null,
  rolls_back uuid,
  secret_name text collate "C" default ''::text not null,
  constraint rollouts_kind_check CHECK ((kind = ANY (ARRAY['rekey'::text, 'rollback'::text]))),
  constraint rollouts_pkey PRIMARY KEY (tenant_id, rollout_id)
);
CREATE INDEX rollouts_open ON rotation.rollouts USING btree (tenant_id, agent_id) WHERE (open_targets > 0);
CREATE INDEX rollouts_rolls_back ON rotation.rollouts USING btree (tenant_id, rolls_back) WHERE (rolls_back IS NOT NULL);
CREATE INDEX rollouts_sequence ON rotation.rollouts USING btree (tenant_id, sequence);

create table rotation.schema_migrations (
  version integer not null,
  name text not null,
  checksum text not null,
  breaking boolean not null,
  applied_at timestamp with time zone default now() not null,
  constraint schema_migrations_pkey PRIMARY KEY (version)
);

create table rotation.sealed_answers (
  tenant_id text collate "C" not null,
  request bytea not null,
  request_hash bytea not null,
  sealed bytea not null,
  expires_at timestamp with time zone not null,
  constraint sealed_answers_pkey PRIMARY KEY (tenant_id, request)
);
CREATE INDEX sealed_answers_expired ON rotation.sealed_answers USING btree (expires_at);

create table rotation.self_rotating_agents (
  sequence bigint generated always as identity not null,
  tenant_id text collate "C" not null,
  agent_id uuid not null,
  name text collate "C" not null,
  owner text collate "C" not null,
  role text not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  revoked_at timestamp with time zone,
  reuses bigint default 0 not null,
  reused_at timestamp with time zone,
  rotate_every_seconds bigint,
  rotate_workspace text collate "C",
  rotate_path text collate "C",
  api_key_name text collate "C",
  rotation_secret_name text collate "C",
  rotation_due_at timestamp with time zone,
  constraint self_rotating_agents_role_check CHECK ((role = ANY (ARRAY['member'::text, 'admin'::text, 'owner'::text]))),
  constraint self_rotating_agents_tenant_id_agent_id_fkey FOREIGN KEY (tenant_id, agent_id) REFERENCES rotation.registered_agents(tenant_id, agent_id),
  constraint self_rotating_agents_pkey PRIMARY KEY (tenant_id, agent_id)
);
CREATE INDEX self_rotating_agents_due ON rotation.self_rotating_agents USING btree (tenant_id, rotation_due_at) WHERE ((rotation_due_at IS NOT NULL) AND (revoked_at IS NULL));
CREATE INDEX self_rotating_agents_listed ON rotation.self_rotating_agents USING btree (tenant_id, sequence);
CREATE UNIQUE INDEX self_rotating_agents_named ON rotation.self_rotating_agents USING btree (tenant_id, name) WHERE (revoked_at IS NULL);

create table rotation.targets (
  tenant_id text collate "C" not null,
  rollout_id uuid not null,
  agent_id uuid not null,
  generation bigint not null,
  state text not null,
  reason text default ''::text not null,
  rollback_source bigint,
  acked_at timestamp with time zone,
  omitted_names text[] default '{}'::text[] not null,
  constraint targets_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'applied'::text, 'failed'::text, 'skipped'::text]))),
  constraint targets_tenant_id_rollout_id_fkey FOREIGN KEY (tenant_id, rollout_id) REFERENCES rotation.rollouts(tenant_id, rollout_id),
  constraint targets_pkey PRIMARY KEY (tenant_id, rollout_id, agent_id)
);
CREATE INDEX targets_agent ON rotation.targets USING btree (tenant_id, agent_id, generation);
CREATE INDEX targets_open ON rotation.targets USING btree (tenant_id, agent_id) WHERE (state = ANY (ARRAY['pending'::text, 'failed'::text]));

create table rotation.tenant_deletions (
  tenant_id text collate "C" not null,
  request_hash bytea not null,
  requested_by text not null,
  requested_at timestamp with time zone default clock_timestamp() not null,
  stage text default 'asked'::text not null,
  ended_at timestamp with time zone,
  purge_after timestamp with time zone,
  finished_at timestamp with time zone,
  agents_living integer default 0 not null,
  waiting_vms text[] default '{}'::text[] not null,
  look_after timestamp with time zone default clock_timestamp() not null,
  constraint tenant_deletions_stage_check CHECK ((stage = ANY (ARRAY['asked'::text, 'ending'::text, 'purging'::text, 'done'::text]))),
  constraint tenant_deletions_pkey PRIMARY KEY (tenant_id),
  constraint tenant_deletions_request_hash_key UNIQUE (request_hash)
);
CREATE INDEX tenant_deletions_due ON rotation.tenant_deletions USING btree (look_after) WHERE (stage <> 'done'::text);

create table rotation.trees (
  tenant_id text collate "C" not null,
  root_id uuid not null,
  constraint trees_pkey PRIMARY KEY (tenant_id, root_id)
);

create table rotation.vms (
  tenant_id text collate "C" not null,
  vm_id text collate "C" not null,
  name text not null,
  key_thumbprint text not null,
  ended_keys text[] default '{}'::text[] not null,
  boot_id text not null,
  incarnation text not null,
  incarnation_number bigint not null,
  last_seen_at timestamp with time zone default clock_timestamp() not null,
  last_contact text not null,
  replica_id text,
  stream_id uuid,
  removed_at timestamp with time zone,
  constraint vms_last_contact_check CHECK ((last_contact = ANY (ARRAY['stream'::text, 'sync'::text]))),
  constraint vms_pkey PRIMARY KEY (tenant_id, vm_id)
);
