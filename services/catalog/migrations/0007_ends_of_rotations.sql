-- A rotation of keys comes to its end beside data keys that do not open: they are counted.
alter table key_rotations add column damaged_data_keys integer not null default 0;

-- A staged credential is removed when rotation has said that it asks for it no more, and some time after.
alter table staged_credentials add column done_at timestamptz;
drop index staged_credentials_old;
create index staged_credentials_done on staged_credentials (done_at) where done_at is not null;
-- Of those from before it is not known: what was removed by its age until now still is.
update staged_credentials set done_at = clock_timestamp() where stored_version is not null;
