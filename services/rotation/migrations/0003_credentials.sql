-- API keys and agent tokens. Their values are nowhere: what is kept is a hash and the first characters.
create table credentials (
  sequence      bigint generated always as identity,
  tenant_id     text collate "C" not null,
  credential_id uuid not null,
  kind          text not null check (kind in ('api-key', 'agent-token')),
  label         text not null,
  agent_name    text not null,
  scopes        text[] not null,
  -- SHA-256 of the value.
  hash          bytea not null unique,
  prefix        text not null,
  owner         text collate "C" not null,
  role          text not null check (role in ('member', 'admin', 'owner')),
  created_at    timestamptz not null default clock_timestamp(),
  -- Only ever made earlier.
  expires_at    timestamptz,
  revoked_at    timestamptz,
  replaces      uuid,
  replaced_by   uuid,
  primary key (tenant_id, credential_id),
  -- One successor each, however many ask at once.
  unique (tenant_id, replaces),
  foreign key (tenant_id, replaces) references credentials (tenant_id, credential_id)
);
create index credentials_listed on credentials (tenant_id, sequence);
create index credentials_of_owner on credentials (tenant_id, owner, sequence);

-- Answers that hold a value and may be asked for again. Each is sealed under a key that is made of what
-- the caller presented, which is kept nowhere: the service alone cannot open it.
create table sealed_answers (
  tenant_id    text collate "C" not null,
  -- SHA-256 of the caller and its request id.
  request      bytea not null,
  -- SHA-256 of what was asked for.
  request_hash bytea not null,
  sealed       bytea not null,
  expires_at   timestamptz not null,
  primary key (tenant_id, request)
);
create index sealed_answers_expired on sealed_answers (expires_at);
