-- Running agents, the generation that each should be on, rollouts, and the evidence of who got there.
-- Every key starts with the tenant; names sort by bytes (collate "C"), as the pages of lists do. Rows of one transaction are locked in the order: tree, agents by
-- id, targets, rollouts by id; whoever keeps to it never waits in a circle.

-- One row per tree of agents: the lock under which a tree grows (for share) or is rekeyed or killed
-- as a whole (for update).
create table trees (
  tenant_id text collate "C" not null,
  root_id   uuid not null,
  primary key (tenant_id, root_id)
);

create table agents (
  tenant_id         text collate "C" not null,
  agent_id          uuid not null,
  workspace         text collate "C" not null,
  slug              text collate "C" not null,
  path              text collate "C" not null,
  parent_id         uuid,
  root_id           uuid not null,
  ancestor_ids      uuid[] not null default '{}',
  vm_id             text collate "C" not null,
  vm_name           text not null,
  developer         text not null,
  command           text[] not null,
  working_directory text not null,
  request_hash      bytea not null,
  -- Whether spawn-time secrets were stored for it: without them it gets no environment.
  expects_spawn_secrets boolean not null default false,
  -- MAC over tenant, agent, VM, workspace, developer, parent and whether spawn-time secrets are
  -- expected, under a key from the signing key: a record without it was not written by this service,
  -- and gets no environment.
  binding           bytea not null,
  -- MAC over tenant, agent, working directory and command, likewise: without it nothing is started.
  launch_mac        bytea not null,
  phase             text not null default 'starting'
    check (phase in ('starting', 'running', 'idle', 'completed', 'failed', 'cancelled')),
  kill_requested    boolean not null default false,
  -- 0: none yet.
  desired           bigint not null default 0,
  desired_at        timestamptz,
  -- What its VM last said that stands on its files; 0: nothing, or not known since a reboot.
  applied           bigint not null default 0,
  applied_at        timestamptz,
  -- The last attempt that failed, until a later one succeeds.
  failed_generation bigint,
  failed_reason     text,
  failed_at         timestamptz,
  exit_kind         text check (exit_kind in ('code', 'signal', 'unknown')),
  exit_value        text,
  processes         jsonb not null default '[]',
  -- What its spawner wished beside the command; covered by launch_mac.
  settings          jsonb,
  -- How the last telling of its programs went.
  reload            jsonb,
  -- What an adopted process can use, as its VM saw it.
  adoption          jsonb,
  reported_at       timestamptz,
  created_at        timestamptz not null default clock_timestamp(),
  ended_at          timestamptz,
  -- Counts up with every change that its VM has to hear of, in the order of the commits.
  revision          bigint not null default 1,
  -- Whether the catalog has to be told what is still needed (ReleaseGenerations).
  release_due       boolean not null default false,
  release_after     timestamptz not null default '-infinity',
  primary key (tenant_id, agent_id),
  foreign key (tenant_id, root_id) references trees
);
create unique index agents_living_slug on agents (tenant_id, workspace, parent_id, slug)
  nulls not distinct where phase in ('starting', 'running', 'idle');
create index agents_path on agents (tenant_id, workspace, path, created_at);
create index agents_tree on agents (tenant_id, root_id);
create index agents_living_vm on agents (tenant_id, vm_id) where phase in ('starting', 'running', 'idle');
create index agents_release_due on agents (release_after) where release_due;
create index agents_failing on agents (failed_at)
  where failed_generation is not null and phase in ('starting', 'running', 'idle');
create index agents_without_generation on agents (created_at) where phase = 'starting' and desired = 0;

-- What the catalog said that each generation's ack must show.
create table generations (
  tenant_id   text collate "C" not null,
  agent_id    uuid not null,
  generation  bigint not null,
  fingerprint bytea not null,
  primary key (tenant_id, agent_id, generation),
  foreign key (tenant_id, agent_id) references agents on delete cascade
);

create table rollouts (
  tenant_id    text collate "C" not null,
  -- Derived from tenant and request id, so that a repeated request meets the first one's row.
  rollout_id   uuid not null,
  request_hash bytea not null,
  workspace    text collate "C" not null,
  agent_id     uuid not null,
  path         text collate "C" not null,
  requested_by text not null,
  reason       text not null,
  unchanged    boolean not null,
  warnings     text[] not null,
  -- Targets that are pending or failed; the rollout is open while there are any.
  open_targets integer not null,
  accepted_at  timestamptz not null default clock_timestamp(),
  completed_at timestamptz,
  sequence     bigint generated always as identity,
  primary key (tenant_id, rollout_id)
);
create index rollouts_sequence on rollouts (tenant_id, sequence);
create index rollouts_open on rollouts (tenant_id, agent_id) where open_targets > 0;

create table targets (
  tenant_id         text collate "C" not null,
  rollout_id        uuid not null,
  agent_id          uuid not null,
  generation        bigint not null,
  state             text not null check (state in ('pending', 'applied', 'failed', 'skipped')),
  reason            text not null default '',
  -- What a rollback of this target would go back to.
  rollback_source   bigint,
  acked_at          timestamptz,
  omitted_names     text[] not null default '{}',
  primary key (tenant_id, rollout_id, agent_id),
  foreign key (tenant_id, rollout_id) references rollouts
);
create index targets_open on targets (tenant_id, agent_id) where state in ('pending', 'failed');
create index targets_agent on targets (tenant_id, agent_id, generation);

create table vms (
  tenant_id          text collate "C" not null,
  vm_id              text collate "C" not null,
  name               text not null,
  -- Of the identity key that said hello last; keys before it are in ended_keys and not listened to.
  key_thumbprint     text not null,
  ended_keys         text[] not null default '{}',
  boot_id            text not null,
  incarnation        text not null,
  incarnation_number bigint not null,
  last_seen_at       timestamptz not null default clock_timestamp(),
  -- How it was last heard of: a VM on a stream is away when the stream is.
  last_contact       text not null check (last_contact in ('stream', 'sync')),
  -- The replica and the stream by which it is connected.
  replica_id         text,
  stream_id          uuid,
  removed_at         timestamptz,
  primary key (tenant_id, vm_id)
);

-- Replicas of this service: a VM counts as connected while its replica's beat is fresh.
create table replicas (
  replica_id text primary key,
  beat_at    timestamptz not null default clock_timestamp()
);

-- How far the removals of the catalog's register have been carried out.
create table removals_cursor (
  one      boolean primary key default true check (one),
  sequence bigint not null
);
insert into removals_cursor (sequence) values (0);

create table audit (
  id          bigint generated always as identity primary key,
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
  detail      jsonb not null default '{}'
);
create index audit_order on audit (tenant_id, xid, id);

-- What VMs have to hear of (lib/postgres/outbox.ts); nobody deletes single rows.
create table outbox (
  id          bigint generated always as identity,
  xid         xid8 not null default pg_current_xact_id(),
  at          timestamptz not null default clock_timestamp(),
  event_id    uuid not null,
  rotation_id text not null,
  tenant_id   text collate "C" not null,
  vm_id       text collate "C" not null,
  -- [[agent id, generation], ...]
  targets     jsonb not null,
  traceparent text not null,
  primary key (xid, id)
);

create table outbox_publisher (
  name              text primary key,
  holder            uuid not null,
  lease_until       timestamptz not null,
  cursor_xid        xid8 not null default '0',
  cursor_id         bigint not null default -1,
  system_identifier bigint not null
);
