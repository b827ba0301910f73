-- Registered agents that rotate their own token with a rotation secret, and invitations to register.
create table self_rotating_agents (
  sequence   bigint generated always as identity,
  tenant_id  text collate "C" not null,
  agent_id   uuid not null,
  -- As in registered_agents, where it may be another's, too.
  name       text collate "C" not null,
  owner      text collate "C" not null,
  role       text not null check (role in ('member', 'admin', 'owner')),
  created_at timestamptz not null default clock_timestamp(),
  revoked_at timestamptz,
  -- Uses of tokens that had been rotated away.
  reuses     bigint not null default 0,
  reused_at  timestamptz,
  -- How a VM rotates for it: all null, or none.
  rotate_every_seconds bigint,
  rotate_workspace     text collate "C",
  rotate_path          text collate "C",
  api_key_name         text collate "C",
  rotation_secret_name text collate "C",
  rotation_due_at      timestamptz,
  primary key (tenant_id, agent_id),
  foreign key (tenant_id, agent_id) references registered_agents (tenant_id, agent_id)
);
create unique index self_rotating_agents_named on self_rotating_agents (tenant_id, name)
  where revoked_at is null;
create index self_rotating_agents_listed on self_rotating_agents (tenant_id, sequence);
create index self_rotating_agents_due on self_rotating_agents (tenant_id, rotation_due_at)
  where rotation_due_at is not null and revoked_at is null;

alter table credentials
  add column registered_agent_id uuid,
  -- SHA-256 of the rotation secret that goes with the token.
  add column rotation_secret_hash bytea,
  -- Of such an agent's token: until then an answer that was lost may be asked for again, and a pair
  -- before it may be valid.
  add column first_used_at timestamptz,
  add foreign key (tenant_id, registered_agent_id)
    references self_rotating_agents (tenant_id, agent_id);
create index credentials_of_agent on credentials (tenant_id, registered_agent_id, sequence)
  where registered_agent_id is not null;

create table agent_invitations (
  -- SHA-256 of the invitation.
  hash       bytea primary key,
  tenant_id  text collate "C" not null,
  inviter    text collate "C" not null,
  role       text not null check (role in ('member', 'admin', 'owner')),
  expires_at timestamptz not null,
  -- Which agent registered with it; null: it is not spent.
  agent_id   uuid
);
create index agent_invitations_expired on agent_invitations (expires_at);
