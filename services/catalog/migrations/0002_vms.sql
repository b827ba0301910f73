-- The register of VMs: who they are, by which key, and whose rights have ended. Rows that give rights
-- carry a MAC under a subkey of the tenant's data key: who can write here still cannot let a VM in.

create table vms (
  tenant_id      text collate "C" not null,
  id             text collate "C" not null,
  name           text collate "C" not null,
  -- Ed25519, 32 bytes. Replaced when a machine that lost its key joins again under the name.
  identity_key   bytea not null check (octet_length(identity_key) = 32),
  -- Of identity_key: what VM tokens name. Compared in every fetch, so a replaced key ends at once.
  key_thumbprint text collate "C" not null,
  joined_at      timestamptz not null,
  last_seen_at   timestamptz not null,
  -- When somebody without the key last used its name: such refusals are audited once a minute.
  refused_at     timestamptz,
  removed_at     timestamptz,
  -- Over tenant, id, name and key; emptied by the removal.
  data_key_id    uuid not null,
  mac            bytea not null,
  primary key (tenant_id, id)
) with (fillfactor = 80);
create unique index vms_name on vms (tenant_id, name) where removed_at is null;
-- A renewal names the VM only: its tenant is found by it.
create unique index vms_id on vms (id);

create table join_tokens (
  tenant_id  text collate "C" not null,
  -- The token's public part.
  id         text collate "C" not null,
  -- SHA-256 of the whole token; the token itself is kept nowhere.
  token_hash bytea not null,
  vm_name    text collate "C" not null,
  issued_by  text not null,
  issued_at  timestamptz not null,
  expires_at timestamptz not null,
  -- Over tenant, id, hash, name and expiry.
  data_key_id uuid not null,
  mac        bytea not null,
  used_at    timestamptz,
  -- Who used it: the same key may ask again, another one is refused and alarmed.
  used_key   bytea,
  used_from  text,
  vm_id      text collate "C",
  primary key (tenant_id, id)
);
create unique index join_tokens_id on join_tokens (id);
-- A new token of a name takes the place of an earlier unused one.
create unique index join_tokens_unused on join_tokens (tenant_id, vm_name) where used_at is null;

-- Removals in the order in which they happened. The counter's row is locked from the number's
-- making to its commit: a plain sequence would let a later number be seen before an earlier one,
-- and a reader that goes on from the later one would miss the earlier for ever.
create table removed_vms (
  sequence   bigint primary key,
  tenant_id  text collate "C" not null,
  vm_id      text collate "C" not null,
  removed_at timestamptz not null
);
create table vm_removals (
  id            smallint primary key default 1 check (id = 1),
  last_sequence bigint not null
);
insert into vm_removals (last_sequence) values (0);
