-- Owners have data keys wrapped again under a newer key-encryption key: by whose wish, and how far it is.
create table key_rotations (
  tenant_id    text collate "C" not null,
  number       bigint not null,
  requested_by text not null,
  made_key     boolean not null,
  started_at   timestamptz not null default clock_timestamp(),
  -- Null: under way, whoever goes on with it.
  finished_at  timestamptz,
  data_keys    integer not null default 0,
  primary key (tenant_id, number)
);
create unique index key_rotations_open on key_rotations (tenant_id) where finished_at is null;

-- The rotation for which a data key was wrapped last.
alter table data_keys add column wrapped_for bigint not null default 0;
