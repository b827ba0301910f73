-- Tenants can be deleted: who is of one of these is let in nowhere any more. Rows are never removed.
create table ended_tenants (
  tenant_id text collate "C" primary key,
  ended_at  timestamptz not null default clock_timestamp(),
  -- By which replicas notice a row that is new.
  ended_xid xid8 not null default pg_current_xact_id()
);
create index ended_tenants_new on ended_tenants (ended_xid);

-- The public keys of their VMs: one that was away comes back by its key, to be told to end its agents.
create table departed_vms (
  tenant_id      text collate "C" not null,
  id             text collate "C" not null,
  name           text collate "C" not null,
  identity_key   bytea not null check (octet_length(identity_key) = 32),
  key_thumbprint text collate "C" not null,
  primary key (tenant_id, id)
);
create unique index departed_vms_id on departed_vms (id);
