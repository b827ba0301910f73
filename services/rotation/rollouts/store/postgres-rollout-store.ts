import { garbledPageToken } from "../../../../lib/page";
import type { Db, Tx } from "../../../../lib/postgres/db";
import type { Agent } from "../../agents/domain/agent";
import { insertIntoOutbox, outboxParams } from "../../announce/outbox";
import { auditParams, insertAudit } from "../../audit";
import type { AgentProcess } from "../../agents/domain/agent-process";
import type { AgentReload } from "../../agents/domain/agent-reload";
import { IS_LIVING } from "../../agents/store/agent-row";
import { isText } from "../../agents/store/is-text";
import type { Canary } from "../domain/canary";
import type { RekeyPlan } from "../domain/plan-rekey";
import type { ProcessesOfAgent, Rollout, RolloutKind, RolloutTarget } from "../domain/rollout";
import { CONTACT_COLUMNS, JOIN_VM, toContact, type ContactRow } from "../../vm-sync/store/contact";
import type {
  GivenGeneration,
  NewRollout,
  RolloutListQuery,
  RolloutSources,
  RolloutStore,
  ToldOfRollout,
} from "./rollout-store";

/** Keeps rollouts in `rotation.rollouts` and `rotation.targets`. */
export function createPostgresRolloutStore(db: Db): RolloutStore {
  return {
    find: (tenantId, rolloutId) => find(db, tenantId, rolloutId),
    findTargets: (tenantId, rolloutId) => findTargets(db, tenantId, rolloutId),
    findSources: (tenantId, rolloutId) => findSources(db, tenantId, rolloutId),
    findProcesses: (tenantId, rolloutId) => findProcesses(db, tenantId, rolloutId),
    async rolledBackTo(tenantId, agentId, generation) {
      const { rows } = await db.query<{ source: bigint | null }>(
        `select o.rollback_source as source
         from (select * from rotation.targets
           where tenant_id = $1 and agent_id = $2 and generation <= $3 and state <> 'skipped'
           order by generation desc limit 1) t
         join rotation.rollouts r using (tenant_id, rollout_id)
         left join rotation.targets o on o.tenant_id = r.tenant_id
           and o.rollout_id = r.rolls_back and o.agent_id = t.agent_id`,
        [tenantId, agentId, generation],
      );
      return rows[0]?.source ?? undefined;
    },
    async requestHash(tenantId, rolloutId) {
      const { rows } = await db.query<{ request_hash: Buffer }>(
        `select request_hash from rotation.rollouts where tenant_id = $1 and rollout_id = $2`,
        [tenantId, rolloutId],
        { name: "find_rollout_request" },
      );
      return rows[0]?.request_hash;
    },
    async list(query) {
      return isText(query.workspace ?? "") ? list(db, query) : [];
    },
    open,
    lockOpenOf,
    recordGeneration,
  };
}

interface RolloutRow {
  tenant_id: string;
  rollout_id: string;
  kind: RolloutKind;
  rolls_back: string | null;
  rolled_back_by: string | null;
  workspace: string;
  path: string;
  secret_name: string;
  requested_by: string;
  reason: string;
  unchanged: boolean;
  warnings: string[];
  accepted_at: Date;
  completed_at: Date | null;
  sequence: bigint;
  total: number;
  applied: number;
  failed: number;
  skipped: number;
  canary: CanaryColumn | null;
}

/** As JSON. */
type CanaryColumn = Omit<Canary, "stageUntil"> & { stageUntil: string };

const ROLLOUT_COLUMNS = `
  r.tenant_id, r.rollout_id, r.workspace, r.path, r.secret_name, r.requested_by, r.reason, r.unchanged,
  r.warnings, r.accepted_at, r.completed_at, r.sequence, c.total, c.applied, c.failed, c.skipped,
  (select json_build_object('stage', y.stage, 'agents', cardinality(y.agent_ids),
      'waiting', cardinality(y.waiting_ids), 'stageUntil', y.stage_until, 'reason', y.reason)
    from rotation.canaries y
    where y.tenant_id = r.tenant_id and y.rollout_id = r.rollout_id) as canary,
  r.kind, r.rolls_back, (
    select b.rollout_id from rotation.rollouts b
    where b.tenant_id = r.tenant_id and b.rolls_back = r.rollout_id
    order by b.sequence desc limit 1) as rolled_back_by`;

const JOIN_COUNTS = `
  cross join lateral (
    select count(*)::integer as total,
      (count(*) filter (where t.state = 'applied'))::integer as applied,
      (count(*) filter (where t.state = 'failed'))::integer as failed,
      (count(*) filter (where t.state = 'skipped'))::integer as skipped
    from rotation.targets t where t.tenant_id = r.tenant_id and t.rollout_id = r.rollout_id
  ) c`;

function fromRow(row: RolloutRow): Rollout {
  const { total, applied, failed, skipped } = row;
  return {
    tenantId: row.tenant_id,
    id: row.rollout_id,
    kind: row.kind,
    rollsBack: row.rolls_back ?? undefined,
    rolledBackBy: row.rolled_back_by ?? undefined,
    workspace: row.workspace,
    path: row.path,
    secretName: row.secret_name,
    requestedBy: row.requested_by,
    reason: row.reason,
    unchanged: row.unchanged,
    warnings: row.warnings,
    acceptedAt: row.accepted_at,
    completedAt: row.completed_at ?? undefined,
    counts: { total, applied, failed, skipped },
    canary: row.canary ? { ...row.canary, stageUntil: new Date(row.canary.stageUntil) } : undefined,
    sequence: row.sequence,
  };
}

async function find(db: Db, tenantId: string, rolloutId: string): Promise<Rollout | undefined> {
  const { rows } = await db.query<RolloutRow>(
    `select ${ROLLOUT_COLUMNS} from rotation.rollouts r ${JOIN_COUNTS}
     where r.tenant_id = $1 and r.rollout_id = $2`,
    [tenantId, rolloutId],
    { name: "find_rollout" },
  );
  return rows[0] && fromRow(rows[0]);
}

/** A generation that was released is not in `generations` any more. */
async function findSources(
  db: Db,
  tenantId: string,
  rolloutId: string,
): Promise<RolloutSources | undefined> {
  const { rows } = await db.query<{
    named_id: string | null;
    workspace: string;
    path: string;
    secret_name: string;
    agent_id: string;
    generation: bigint;
    source: bigint | null;
  }>(
    `select r.agent_id as named_id, r.workspace, r.path, r.secret_name, t.agent_id, t.generation,
       g.generation as source
     from rotation.rollouts r
     join rotation.targets t using (tenant_id, rollout_id)
     left join rotation.generations g on g.tenant_id = t.tenant_id and g.agent_id = t.agent_id
       and g.generation = t.rollback_source
     where r.tenant_id = $1 and r.rollout_id = $2`,
    [tenantId, rolloutId],
  );
  const [first] = rows;
  return (
    first && {
      subject: {
        agentId: first.named_id ?? undefined,
        workspace: first.workspace,
        path: first.path,
        secretName: first.secret_name,
      },
      sources: new Map(rows.map((row) => [row.agent_id, row.source ?? undefined])),
      generations: new Map(rows.map((row) => [row.agent_id, row.generation])),
    }
  );
}

interface TargetRow extends ContactRow {
  agent_id: string;
  path: string;
  vm_name: string;
  generation: bigint;
  state: RolloutTarget["state"];
  reason: string;
  acked_at: Date | null;
  omitted_names: string[];
  desired: bigint;
  reload: AgentReload | null;
}

async function findTargets(db: Db, tenantId: string, rolloutId: string): Promise<RolloutTarget[]> {
  const { rows } = await db.query<TargetRow>(
    `select t.agent_id, a.path, a.vm_name, t.generation, t.state, t.reason, t.acked_at,
       t.omitted_names, a.desired, a.reload, ${CONTACT_COLUMNS}
     from rotation.targets t
     join rotation.agents a on a.tenant_id = t.tenant_id and a.agent_id = t.agent_id ${JOIN_VM}
     where t.tenant_id = $1 and t.rollout_id = $2 order by a.path, t.agent_id`,
    [tenantId, rolloutId],
    { name: "find_targets" },
  );
  return rows.map((row) => ({
    agentId: row.agent_id,
    path: row.path,
    vmName: row.vm_name,
    generation: row.generation,
    state: row.state,
    reason: row.reason,
    ackedAt: row.acked_at ?? undefined,
    omittedNames: row.omitted_names,
    desired: row.desired,
    reload: isFor(row.generation, row.reload) ? row.reload : undefined,
    vm: toContact(row),
  }));
}

async function findProcesses(
  db: Db,
  tenantId: string,
  rolloutId: string,
): Promise<ProcessesOfAgent[]> {
  const { rows } = await db.query<{
    agent_id: string;
    path: string;
    generation: bigint;
    processes: AgentProcess[];
    reported_at: Date | null;
    is_current: boolean;
    reload: AgentReload | null;
  }>(
    `select t.agent_id, a.path, t.generation, a.processes, a.reported_at, a.reload,
       a.applied >= t.generation and coalesce(a.reported_at >= a.applied_at, false) as is_current
     from rotation.targets t
     join rotation.agents a on a.tenant_id = t.tenant_id and a.agent_id = t.agent_id
     where t.tenant_id = $1 and t.rollout_id = $2 and t.state <> 'skipped' and ${IS_LIVING}
     order by a.path, t.agent_id`,
    [tenantId, rolloutId],
    { name: "find_rollout_processes" },
  );
  return rows.map((row) => ({
    agentId: row.agent_id,
    path: row.path,
    generation: row.generation,
    processes: row.processes,
    reportedAt: row.reported_at ?? undefined,
    isCurrent: row.is_current,
    reload: isFor(row.generation, row.reload) ? row.reload : undefined,
  }));
}

function isFor(generation: bigint, reload: AgentReload | null): reload is AgentReload {
  return reload !== null && BigInt(reload.generation) >= generation;
}

async function list(db: Db, { tenantId, workspace, page }: RolloutListQuery): Promise<Rollout[]> {
  const { rows } = await db.query<RolloutRow>(
    `select ${ROLLOUT_COLUMNS} from rotation.rollouts r ${JOIN_COUNTS}
     where r.tenant_id = $1 and ($2::text is null or r.workspace in ($2, ''))
       and ($3::bigint is null or r.sequence < $3)
     order by r.sequence desc limit $4`,
    [tenantId, workspace ?? null, readKey(page.after), page.limit + 1],
  );
  return rows.map(fromRow);
}

function readKey(text: string | undefined): string | null {
  if (text !== undefined && !/^\d{1,18}$/.test(text)) throw garbledPageToken();
  return text ?? null;
}

/** One statement: the hot path of a rekey, which VMs hear of when it has committed. */
async function open(
  tx: Tx,
  rollout: NewRollout,
  plan: RekeyPlan,
  { caller, audit, announcements }: ToldOfRollout,
): Promise<boolean> {
  const { targets, raised } = plan;
  const { subject } = rollout;
  const openTargets = targets.filter(({ state }) => state === "pending" || state === "failed");
  const { rowCount } = await tx.query(
    `with rollout as (
       insert into rotation.rollouts (tenant_id, rollout_id, request_hash, workspace, agent_id,
         path, requested_by, reason, unchanged, warnings, open_targets, completed_at, kind, rolls_back,
         secret_name)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::integer,
         case when $11::integer = 0 then clock_timestamp() end, $12, $13::uuid, $14)
       on conflict (tenant_id, rollout_id) do nothing returning tenant_id, rollout_id
     ), targets as (
       insert into rotation.targets
         (tenant_id, rollout_id, agent_id, generation, state, reason, rollback_source, acked_at)
       select r.tenant_id, r.rollout_id, t.agent_id, t.generation, t.state, t.reason, t.source,
         case when t.state = 'applied' then clock_timestamp() end
       from rollout r, unnest($15::uuid[], $16::bigint[], $17::text[], $18::text[], $19::bigint[])
         as t(agent_id, generation, state, reason, source)
     ), raised as (
       select * from unnest($20::uuid[], $21::bigint[], $22::bytea[])
         as g(agent_id, generation, fingerprint)
     ), generations as (
       insert into rotation.generations (tenant_id, agent_id, generation, fingerprint)
       select r.tenant_id, g.agent_id, g.generation, g.fingerprint from rollout r, raised g
     ), agents as (
       update rotation.agents a
       set desired = greatest(a.desired, g.generation), desired_at = clock_timestamp(),
           revision = a.revision + 1, release_due = true,
           failed_generation = case when a.failed_generation >= g.generation
             then a.failed_generation end
       from raised g, rollout r
       where a.tenant_id = r.tenant_id and a.agent_id = g.agent_id
     ), audited as (
       ${insertAudit(23, "exists (select from rollout)")}
     ), announced as (
       ${insertIntoOutbox(32, "exists (select from rollout)")}
     )
     select from rollout`,
    [
      ...[rollout.tenantId, rollout.id, rollout.requestHash, subject.workspace],
      ...[subject.agentId ?? null, subject.path, rollout.requestedBy, rollout.reason],
      ...[plan.unchanged, rollout.warnings],
      // While its canaries are under way it counts one more, and so is not completed.
      openTargets.length + (rollout.canary ? 1 : 0),
      ...[rollout.kind, rollout.rollsBack ?? null, subject.secretName],
      targets.map(({ agent }) => agent.id),
      targets.map(({ generation }) => generation),
      targets.map(({ state }) => state),
      targets.map(({ reason }) => reason),
      targets.map((target) => target.rollbackSource ?? null),
      raised.map(({ id }) => id),
      raised.map(({ desired }) => desired),
      raised.map(({ fingerprint }) => fingerprint),
      ...auditParams(caller, audit),
      ...outboxParams(announcements),
    ],
    { name: "open_rollout" },
  );
  return rowCount === 1;
}

async function lockOpenOf(tx: Tx, agent: Agent): Promise<{ id: string; agentIds: string[] }[]> {
  const { rows } = await tx.query<{ rollout_id: string; is_in: boolean }>(
    `select r.rollout_id, exists (
       select from rotation.targets t where t.tenant_id = r.tenant_id
         and t.rollout_id = r.rollout_id and t.agent_id = $3) as is_in
     from rotation.rollouts r
     where r.tenant_id = $1 and r.open_targets > 0 and (r.agent_id = any($2)
       or r.agent_id is null and exists (select from rotation.targets above
         where above.tenant_id = $1 and above.rollout_id = r.rollout_id
           and above.agent_id = any($2)))
     order by r.rollout_id for update of r`,
    [agent.tenantId, agent.ancestorIds, agent.id],
  );
  return rows.map((row) => ({ id: row.rollout_id, agentIds: row.is_in ? [agent.id] : [] }));
}

async function recordGeneration(tx: Tx, first: GivenGeneration): Promise<void> {
  const { target, snapshot, rolloutIds } = first;
  const isOpen = target.state === "pending" || target.state === "failed";
  await tx.query(
    `with generation as (
       insert into rotation.generations (tenant_id, agent_id, generation, fingerprint)
       values ($1, $2, $3, $4) on conflict do nothing
     ), targets as (
       insert into rotation.targets (tenant_id, rollout_id, agent_id, generation, state, reason)
       select $1, rollout_id, $2, $3, $5, $6 from unnest($7::uuid[]) as r(rollout_id)
     ), rollouts as (
       update rotation.rollouts set open_targets = open_targets + $8::integer
       where tenant_id = $1 and rollout_id = any($7)
     )
     update rotation.agents set desired = greatest(desired, $3), desired_at = clock_timestamp(),
       revision = revision + 1, release_due = true,
       failed_generation = case when failed_generation >= $3 then failed_generation end
     where tenant_id = $1 and agent_id = $2`,
    [
      ...[target.agent.tenantId, target.agent.id, snapshot.generation, snapshot.fingerprint],
      ...[target.state, target.reason, rolloutIds, isOpen ? 1 : 0],
    ],
    { name: "record_generation" },
  );
}
