-- Registered agents, which are bound to the provider keys that they work with, and limits of attempts.
create table registered_agents (
  sequence       bigint generated always as identity,
  tenant_id      text collate "C" not null,
  agent_id       uuid not null,
  -- Empty: unnamed. Several may have the same: one per provider key.
  name           text not null,
  -- The developer whose account claimed it; null: nobody did.
  owner          text collate "C",
  created_at     timestamptz not null default clock_timestamp(),
  -- The first 8 bytes of the SHA-256 of its provider key and name; null: bound to none.
  agent_hash     bytea check (octet_length(agent_hash) = 8),
  -- The first characters of the provider key; empty: not known.
  key_prefix     text not null default '',
  -- When it got its present hash, if that is not the first one.
  rekeyed_at     timestamptz,
  rekey_count    integer not null default 0,
  -- When requests under its key were seen last, to the minute.
  observed_at    timestamptz,
  deactivated_at timestamptz,
  -- History elsewhere, as the operator's systems say; only ever more.
  traces         bigint not null default 0,
  scores         bigint not null default 0,
  trust_edges    bigint not null default 0,
  primary key (tenant_id, agent_id),
  -- One agent for a key and a name.
  constraint registered_agents_hash unique (tenant_id, agent_hash)
);
create index registered_agents_listed on registered_agents (tenant_id, sequence);
create index registered_agents_of_owner on registered_agents (tenant_id, owner, sequence);

-- Attempts that were let through, for limits that slide: as many times as the limit lets through.
create table attempts (
  -- Empty where the tenant is not known before the attempt.
  tenant_id  text collate "C" not null,
  limit_name text collate "C" not null,
  -- Whose attempts they are: an account, an address.
  subject    text collate "C" not null,
  -- Newest first.
  times      timestamptz[] not null,
  -- When the newest does not count any more.
  over_at    timestamptz not null,
  primary key (tenant_id, limit_name, subject)
);
create index attempts_over on attempts (over_at);
