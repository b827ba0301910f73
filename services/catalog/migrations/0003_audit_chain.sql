-- Audit records are linked into a hash chain per tenant, and states of it are signed: docs/audit.md.
-- The order in which they are sealed.
create index audit_order on audit (xid, id);

-- The chain: which record is the how manyeth of its tenant, and what its hash is over all before it.
create table audit_chain (
  tenant_id text collate "C" not null,
  sequence  bigint not null,
  audit_id  bigint not null,
  -- One more after each restore: transaction ids start over.
  epoch     integer not null,
  -- SHA-256.
  hash      bytea not null,
  primary key (tenant_id, sequence),
  unique (tenant_id, audit_id)
);

-- States of the chain that the service signed.
create table audit_checkpoints (
  tenant_id text collate "C" not null,
  size      bigint not null,
  head      bytea not null,
  at        timestamptz not null,
  key_id    text collate "C" not null,
  signature bytea not null,
  primary key (tenant_id, size, key_id)
);

-- Who seals at present, and up to where. One row.
create table audit_sealer (
  is_only           boolean primary key default true check (is_only),
  holder            uuid not null,
  lease_until       timestamptz not null,
  cursor_xid        xid8 not null default '0',
  cursor_id         bigint not null default -1,
  epoch             integer not null default 1,
  system_identifier bigint not null,
  -- Until when another replica is known to be there, whose records the holder has to look for.
  rival_until       timestamptz not null default '-infinity'
);

-- What was recorded stays. This stops mistakes; whoever may drop it is found out by the chain.
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'rows of %.% are only ever added', tg_table_schema, tg_table_name
    using errcode = 'restrict_violation';
end $$;
create trigger append_only before update or delete or truncate on audit
  for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on audit_chain
  for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on audit_checkpoints
  for each statement execute function refuse_change();
