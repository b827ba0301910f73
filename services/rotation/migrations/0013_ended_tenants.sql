-- Tenants can be deleted: who is of one of these is let in nowhere any more. Rows are never removed.
create table ended_tenants (
  tenant_id text collate "C" primary key,
  ended_at  timestamptz not null default clock_timestamp(),
  -- By which replicas notice a row that is new.
  ended_xid xid8 not null default pg_current_xact_id()
);
create index ended_tenants_new on ended_tenants (ended_xid);

-- What is done about it, by whichever replica.
create table tenant_deletions (
  tenant_id     text collate "C" primary key,
  -- SHA-256 of the request id: whoever has that may ask how far it is.
  request_hash  bytea not null unique,
  requested_by  text not null,
  requested_at  timestamptz not null default clock_timestamp(),
  stage         text not null default 'asked' check (stage in ('asked', 'ending', 'purging', 'done')),
  ended_at      timestamptz,
  purge_after   timestamptz,
  finished_at   timestamptz,
  -- As it was when removing began.
  agents_living integer not null default 0,
  waiting_vms   text[] not null default '{}',
  -- When it is looked after next; while a replica does, it is the time at which another may.
  look_after    timestamptz not null default clock_timestamp()
);
create index tenant_deletions_due on tenant_deletions (look_after) where stage <> 'done';
