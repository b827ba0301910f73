-- Tenant secrets may carry API keys and agent tokens: their successors are kept here until they are
-- stored, and versions whose credential has ended do not come back by a rollback.
create table staged_credentials (
  tenant_id       text collate "C" not null,
  staged_id       uuid not null,
  secret_name     text collate "C" not null,
  -- Of the secret when it was staged; 0: there was none.
  current_version bigint not null,
  version_id      uuid not null,
  -- Both null when it is stored.
  data_key_id     uuid,
  sealed          bytea,
  size_bytes      integer not null,
  developer       text not null,
  api_key_id      text,
  staged_at       timestamptz not null default clock_timestamp(),
  -- As which version; null: not yet.
  stored_version  bigint,
  primary key (tenant_id, staged_id)
);
create index staged_credentials_old on staged_credentials (staged_at);

-- When the credential that it carries had ended.
alter table secret_versions add column retired_at timestamptz;
