-- Replicas keep people in memory, too, for as long as they can tell that none has changed.
alter table people
  -- The transaction that changed them last.
  add column changed_xid xid8;
create index people_changed on people (changed_xid) where changed_xid is not null;

create function mark_changed_person() returns trigger language plpgsql as $$
begin
  new.changed_xid := pg_current_xact_id();
  return new;
end
$$;
create trigger mark_changed before update on people for each row
  execute function mark_changed_person();
