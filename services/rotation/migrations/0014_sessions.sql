-- Sessions: credentials that a browser holds in a cookie (docs/decisions/0013).
alter table credentials
  drop constraint credentials_kind_check,
  add constraint credentials_kind_check check (kind in ('api-key', 'agent-token', 'session')),
  -- Of a session: the API key that it was made with; null: an identity token.
  add column made_with uuid,
  -- Of a session: when what it was made with ends by itself; null: never.
  add column maker_expires_at timestamptz,
  -- Of a session: from which network address it was made.
  add column made_from text,
  add foreign key (tenant_id, made_with) references credentials (tenant_id, credential_id);
create index sessions_of_key on credentials (tenant_id, made_with) where made_with is not null;
create index sessions_over on credentials (expires_at) where kind = 'session';

-- A session ends with the key that it was made with, whoever ends that and however.
create function end_sessions_of_key() returns trigger language plpgsql as $$
begin
  update rotation.credentials set
    maker_expires_at = new.expires_at,
    expires_at = least(expires_at, new.expires_at),
    revoked_at = new.revoked_at
  where tenant_id = new.tenant_id and made_with = new.credential_id and revoked_at is null;
  return null;
end
$$;
create trigger end_sessions after update on credentials for each row
  when (new.kind = 'api-key' and (new.expires_at is distinct from old.expires_at
    or new.revoked_at is distinct from old.revoked_at))
  execute function end_sessions_of_key();
