-- Signing in with an identity provider: whose names are whose, and which of its tokens were exchanged.
alter table people
  -- Issuer and subject, as the provider has them, from the first sign-in on: a user name may go to somebody
  -- else there, a subject never does.
  add column signs_in_as text;

create table exchanged_tokens (
  -- Of the person whom it was exchanged for.
  tenant_id  text collate "C" not null,
  -- SHA-256 of the ID token: each is exchanged once, in whichever tenant.
  digest     bytea primary key,
  -- No sooner than the token.
  expires_at timestamptz not null
);
create index exchanged_tokens_expired on exchanged_tokens (expires_at);
