-- People of a tenant and what they may do. Whoever is here is let in by a good identity token; whoever was
-- removed is not, until an owner adds them again.
create table people (
  tenant_id    text collate "C" not null,
  -- `provider/username`.
  developer    text collate "C" not null,
  role         text not null check (role in ('member', 'admin', 'owner')),
  added_at     timestamptz not null default clock_timestamp(),
  -- The developer who did; empty: an operator, by an identity token.
  added_by     text not null,
  -- Null: in the tenant.
  removed_at   timestamptz,
  -- Identity tokens that were first issued then or earlier count no more.
  tokens_after timestamptz,
  primary key (tenant_id, developer)
);
create index people_tenants on people (developer, tenant_id);

-- Until now a developer was whoever had a token; those who made keys are known.
insert into people (tenant_id, developer, role, added_by)
select tenant_id, owner,
  case max(case role when 'owner' then 3 when 'admin' then 2 else 1 end)
    when 3 then 'owner' when 2 then 'admin' else 'member' end, ''
from credentials group by tenant_id, owner;
alter table credentials add foreign key (tenant_id, owner) references people (tenant_id, developer);
