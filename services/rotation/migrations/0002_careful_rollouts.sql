-- Rollouts that take another one back, and rollouts of many trees.

alter table rollouts
  add column kind text not null default 'rekey' check (kind in ('rekey', 'rollback')),
  -- Of a rollback: the rollout that it takes back.
  add column rolls_back uuid,
  -- None where many were selected: those who have the secret, or, without one, all.
  alter column agent_id drop not null,
  add column secret_name text collate "C" not null default '';
create index rollouts_rolls_back on rollouts (tenant_id, rolls_back) where rolls_back is not null;
