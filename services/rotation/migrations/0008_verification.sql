-- Replicas keep credentials in memory for as long as they can tell that none has changed; and when a
-- credential was last used.
alter table credentials
  add column last_used_at timestamptz,
  -- The transaction that changed it last.
  add column changed_xid xid8;
create index credentials_changed on credentials (changed_xid) where changed_xid is not null;

-- Whoever changes a credential, replicas that have it in memory notice. That it was used is no change.
create function mark_changed_credential() returns trigger language plpgsql as $$
begin
  new.changed_xid := pg_current_xact_id();
  return new;
end
$$;
create trigger mark_changed before update on credentials for each row
  when (to_jsonb(new) - 'last_used_at' is distinct from to_jsonb(old) - 'last_used_at')
  execute function mark_changed_credential();

-- What a credential may do depends on what its owner may.
create function mark_credentials_of_person() returns trigger language plpgsql as $$
begin
  update rotation.credentials set changed_xid = pg_current_xact_id()
    where tenant_id = new.tenant_id and owner = new.developer and revoked_at is null;
  return new;
end
$$;
create trigger mark_credentials after update on people for each row
  when (new.role <> old.role)
  execute function mark_credentials_of_person();
