import type { Db, Tx } from "../../../../lib/postgres/db";
import type { AgentHealth } from "../../agents/domain/agent-health";
import { insertIntoOutbox, outboxParams } from "../../announce/outbox";
import { auditParams, insertAudit } from "../../audit";
import type { Phase, TargetState } from "../../protocol";
import type { OpenCanaryStage } from "../domain/canary";
import type { CanaryRef, CanaryStore, Followers, HeldCanary, NewCanary } from "./canary-store";
import type { ToldOfRollout } from "./rollout-store";

const IS_OPEN = `stage in ('canary', 'waiting', 'following', 'rolling-back')`;
const MS = `interval '1 millisecond'`;

/** CanaryStore in `rotation.canaries`. */
export const postgresCanaryStore: CanaryStore = {
  insert,
  claim,
  async letGo(db, { tenantId, rolloutId }, forMs) {
    await db.query(
      `update rotation.canaries set look_after = clock_timestamp() + $3 * ${MS}
       where tenant_id = $1 and rollout_id = $2`,
      [tenantId, rolloutId, forMs],
    );
  },
  async enter(db, { tenantId, rolloutId }, { from, to, reason, forMs }) {
    const { rowCount } = await db.query(
      `update rotation.canaries set stage = $4, reason = $5,
         stage_until = clock_timestamp() + $6::bigint * ${MS}
       where tenant_id = $1 and rollout_id = $2 and stage = $3`,
      [tenantId, rolloutId, from, to, reason, forMs],
    );
    return rowCount === 1;
  },
  async end(tx, { tenantId, rolloutId }, { from, to, reason }) {
    // Agents first, then rollouts: the order in which everybody locks.
    await tx.query(
      `update rotation.agents set health_check = null where tenant_id = $1 and agent_id in (
         select a.agent_id from rotation.agents a join rotation.canaries c
           on c.tenant_id = a.tenant_id and a.agent_id = any(c.agent_ids)
         where c.tenant_id = $1 and c.rollout_id = $2 and a.health_check ->> 'id' = $2::text
         order by a.agent_id for update of a)`,
      [tenantId, rolloutId],
    );
    const { rowCount } = await tx.query(
      `with ended as (
         update rotation.canaries set stage = $4, reason = $5, stage_until = clock_timestamp()
         where tenant_id = $1 and rollout_id = $2::uuid and stage = $3
         returning tenant_id, rollout_id
       )
       update rotation.rollouts r set open_targets = r.open_targets - 1,
         completed_at = case when r.open_targets = 1 then clock_timestamp() end
       from ended e where r.tenant_id = e.tenant_id and r.rollout_id = e.rollout_id`,
      [tenantId, rolloutId, from, to, reason],
    );
    return rowCount === 1;
  },
  follow,
};

async function insert(tx: Tx, ref: CanaryRef, canary: NewCanary): Promise<void> {
  await tx.query(
    `insert into rotation.canaries (tenant_id, rollout_id, stage, stage_until, agent_ids,
       waiting_ids, has_health, then_wait_ms)
     values ($1, $2, 'canary', clock_timestamp() + $3::bigint * ${MS}, $4, $5, $6, $7)`,
    [
      ...[ref.tenantId, ref.rolloutId, canary.withinMs, canary.agentIds, canary.waitingIds],
      ...[canary.hasHealth, canary.thenWaitMs],
    ],
  );
}

interface CanaryRow {
  tenant_id: string;
  rollout_id: string;
  stage: OpenCanaryStage;
  waiting_ids: string[];
  has_health: boolean;
  then_wait_ms: bigint;
  reason: string;
  is_late: boolean;
  requested_by: string;
  rolled_back_by: string | null;
  agents: {
    path: string;
    phase: Phase;
    target: TargetState;
    target_reason: string;
    check_id: string | null;
    health: AgentHealth | null;
  }[];
}

/** The claim commits before what it holds is read: it is a row's lock, and nothing else waits. */
async function claim(db: Db, limit: number, holdMs: number): Promise<HeldCanary[]> {
  const claimed = await db.query<{ tenant_id: string; rollout_id: string }>(
    `update rotation.canaries c set look_after = clock_timestamp() + $2 * ${MS}
     from (select tenant_id, rollout_id from rotation.canaries
       where ${IS_OPEN} and look_after <= clock_timestamp()
       order by look_after limit $1 for update skip locked) due
     where c.tenant_id = due.tenant_id and c.rollout_id = due.rollout_id
     returning c.tenant_id, c.rollout_id`,
    [limit, holdMs],
    { name: "claim_canaries" },
  );
  if (claimed.rows.length === 0) return [];
  const { rows } = await db.query<CanaryRow>(
    `select c.tenant_id, c.rollout_id, c.stage, c.waiting_ids, c.has_health, c.then_wait_ms,
       c.reason, c.stage_until <= clock_timestamp() as is_late, r.requested_by,
       (select b.requested_by from rotation.rollouts b where b.tenant_id = c.tenant_id
         and b.rolls_back = c.rollout_id order by b.sequence limit 1) as rolled_back_by,
       (select coalesce(json_agg(json_build_object('path', a.path, 'phase', a.phase,
           'target', t.state, 'target_reason', t.reason, 'check_id', a.health_check ->> 'id',
           'health', a.health) order by a.path), '[]')
        from rotation.targets t
        join rotation.agents a on a.tenant_id = t.tenant_id and a.agent_id = t.agent_id
        where t.tenant_id = c.tenant_id and t.rollout_id = c.rollout_id
          and t.agent_id = any(c.agent_ids)) as agents
     from unnest($1::text[], $2::uuid[]) as held (tenant_id, rollout_id)
     join rotation.canaries c using (tenant_id, rollout_id)
     join rotation.rollouts r using (tenant_id, rollout_id)
     where c.${IS_OPEN}`,
    [claimed.rows.map((row) => row.tenant_id), claimed.rows.map((row) => row.rollout_id)],
  );
  return rows.map(fromRow);
}

function fromRow(row: CanaryRow): HeldCanary {
  return {
    tenantId: row.tenant_id,
    rolloutId: row.rollout_id,
    stage: row.stage,
    waitingIds: row.waiting_ids,
    hasHealth: row.has_health,
    thenWaitMs: Number(row.then_wait_ms),
    reason: row.reason,
    isLate: row.is_late,
    requestedBy: row.requested_by,
    rolledBackBy: row.rolled_back_by ?? undefined,
    agents: row.agents.map(({ target_reason, check_id, health, ...agent }) => ({
      ...agent,
      targetReason: target_reason,
      checkId: check_id ?? undefined,
      health: health ?? undefined,
    })),
  };
}

async function follow(
  tx: Tx,
  { tenantId, rolloutId }: CanaryRef,
  { ids, plan: { targets, raised, unchanged } }: Followers,
  { caller, audit, announcements }: ToldOfRollout,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `with canary as (
       update rotation.canaries set waiting_ids = array(
         select id from unnest(waiting_ids) as id where id <> all($3::uuid[]))
       where tenant_id = $1 and rollout_id = $2 and stage = 'following' and waiting_ids @> $3::uuid[]
         and not exists (select from rotation.rollouts b
           where b.tenant_id = $1 and b.rolls_back = $2)
       returning tenant_id, rollout_id
     ), added as (
       insert into rotation.targets
         (tenant_id, rollout_id, agent_id, generation, state, reason, rollback_source, acked_at)
       select c.tenant_id, c.rollout_id, t.agent_id, t.generation, t.state, t.reason, t.source,
         case when t.state = 'applied' then clock_timestamp() end
       from canary c, unnest($4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::bigint[])
         as t(agent_id, generation, state, reason, source)
       on conflict do nothing returning state
     ), raised as (
       select * from unnest($9::uuid[], $10::bigint[], $11::bytea[])
         as g(agent_id, generation, fingerprint)
     ), generations as (
       insert into rotation.generations (tenant_id, agent_id, generation, fingerprint)
       select c.tenant_id, g.agent_id, g.generation, g.fingerprint from canary c, raised g
     ), agents as (
       update rotation.agents a
       set desired = greatest(a.desired, g.generation), desired_at = clock_timestamp(),
           revision = a.revision + 1, release_due = true,
           failed_generation = case when a.failed_generation >= g.generation
             then a.failed_generation end
       from raised g, canary c
       where a.tenant_id = c.tenant_id and a.agent_id = g.agent_id
     ), audited as (
       ${insertAudit(13, "exists (select from canary)")}
     ), announced as (
       ${insertIntoOutbox(22, "exists (select from canary)")}
     )
     update rotation.rollouts r
     set open_targets = r.open_targets + (
           select count(*) from added where state in ('pending', 'failed'))::integer,
         unchanged = r.unchanged and $12
     from canary c where r.tenant_id = c.tenant_id and r.rollout_id = c.rollout_id`,
    [
      ...[tenantId, rolloutId, ids],
      targets.map(({ agent }) => agent.id),
      targets.map(({ generation }) => generation),
      targets.map(({ state }) => state),
      targets.map(({ reason }) => reason),
      targets.map((target) => target.rollbackSource ?? null),
      raised.map(({ id }) => id),
      raised.map(({ desired }) => desired),
      raised.map(({ fingerprint }) => fingerprint),
      unchanged,
      ...auditParams(caller, audit),
      ...outboxParams(announcements),
    ],
  );
  return rowCount === 1;
}
