-- Rollouts that take another one back, and rollouts of many trees.

alter table rollouts
  add column kind text not null default 'rekey' check (kind in ('rekey', 'rollback')),
  -- Of a rollback: the rollout that it takes back.
  add column rolls_back uuid,
  -- None where many were selected: those who have the secret, or, without one, all.
  alter column agent_id drop not null,
  add column secret_name text collate "C" not null default '';

-- What the VM of a canary runs when the agent is on its new generation, and what came of it.
alter table agents
  add column health_check jsonb,
  add column health jsonb;

-- Rollouts that begin with a few agents. While one is under way, its rollout counts one open target more.
create table canaries (
  tenant_id    text collate "C" not null,
  rollout_id   uuid not null,
  stage        text not null check (stage in ('canary', 'waiting', 'following', 'rolling-back',
    'passed', 'rolled-back', 'stopped')),
  stage_until  timestamptz not null,
  agent_ids    uuid[] not null,
  waiting_ids  uuid[] not null,
  has_health   boolean not null,
  then_wait_ms bigint not null,
  reason       text not null default '',
  -- Whoever looks after it holds it until then.
  look_after   timestamptz not null default '-infinity',
  primary key (tenant_id, rollout_id),
  foreign key (tenant_id, rollout_id) references rollouts
);
create index canaries_open on canaries (look_after)
  where stage in ('canary', 'waiting', 'following', 'rolling-back');

create index rollouts_rolls_back on rollouts (tenant_id, rolls_back) where rolls_back is not null;
