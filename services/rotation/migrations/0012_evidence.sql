-- Rotations whose new value goes into a tenant secret, and whose old one ends on evidence
-- (docs/decisions/0012). The secret that carries a credential, as far as it is known.
alter table credentials add column secret_name text collate "C";

create table evidence_cases (
  tenant_id      text collate "C" not null,
  sequence       bigint not null generated always as identity,
  -- The new one. Under this id the catalog keeps its value until it is stored.
  successor_id   uuid not null,
  -- The old one.
  credential_id  uuid not null,
  stage          text not null default 'storing' check (stage in
    ('storing', 'gathering', 'evidence', 'deadline', 'revoked', 'cancelled')),
  -- Whether nothing is left to do.
  is_done        boolean not null default false,
  secret_name    text collate "C" not null,
  -- Versions from this one and below `secret_version` have the old value.
  from_version   bigint not null default 1,
  -- The one with the new value; null while it is being stored.
  secret_version bigint,
  grace_seconds  bigint not null,
  begun_by       text not null,
  begun_at       timestamptz not null default clock_timestamp(),
  stored_at      timestamptz,
  -- When the old one ends in any case.
  deadline       timestamptz,
  ended_at       timestamptz,
  -- Agents that lived when it was stored: those that came later never had the old value.
  agents_before  uuid[] not null default '{}',
  rollout_id     uuid,
  -- Holders are rekeyed, one more time, not before.
  rekey_after    timestamptz not null default '-infinity',
  -- By the last look.
  laggards       jsonb not null default '[]',
  laggard_count  integer not null default 0,
  looked_at      timestamptz,
  -- Hundredths of the time until the deadline.
  alarmed        integer not null default 0,
  problem        text not null default '',
  -- A replica that leads it on holds it until then.
  look_after     timestamptz not null default '-infinity',
  primary key (tenant_id, successor_id),
  foreign key (tenant_id, successor_id) references credentials (tenant_id, credential_id),
  foreign key (tenant_id, credential_id) references credentials (tenant_id, credential_id)
);
create unique index evidence_cases_open on evidence_cases (tenant_id, credential_id)
  where stage in ('storing', 'gathering');
create index evidence_cases_of_credential on evidence_cases (tenant_id, credential_id, sequence);
create index evidence_cases_due on evidence_cases (look_after) where not is_done;

-- Up to when each replica has written which credentials it found valid.
create table credential_use_reports (
  replica_id  text primary key,
  known_at    timestamptz not null,
  reported_at timestamptz not null default clock_timestamp()
);
