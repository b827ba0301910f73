-- Rollouts that take another one back.

alter table rollouts
  add column kind text not null default 'rekey' check (kind in ('rekey', 'rollback')),
  -- Of a rollback: the rollout that it takes back.
  add column rolls_back uuid;
create index rollouts_rolls_back on rollouts (tenant_id, rolls_back) where rolls_back is not null;
