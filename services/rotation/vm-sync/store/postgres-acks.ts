import type { Db } from "../../../../lib/postgres/db";
import type {
  AppliedAck,
  FailedAck,
  Mismatch,
  RolloutRef,
  VmIncarnation,
} from "../domain/evidence";
import type { AcksRecorded } from "./evidence-store";
import { closeSatisfied } from "./settle-targets";

/**
 * An ack is heard when it comes from the life of the VM that said hello last and is about an agent
 * that is placed there; the same as protocol/applied.ts, for many at once.
 */
const HEARD = `
  join rotation.vms v
    on v.tenant_id = k.tenant_id and v.vm_id = k.vm_id and v.boot_id = k.boot_id
    and v.incarnation = k.incarnation_name and v.incarnation_number = k.incarnation
    and v.removed_at is null
  join rotation.agents a
    on a.tenant_id = k.tenant_id and a.agent_id = k.agent_id and a.vm_id = k.vm_id`;

const FROM_COLUMNS = "tenant_id, vm_id, boot_id, incarnation_name, incarnation";

function fromParams(sources: readonly VmIncarnation[]): unknown[] {
  return [
    sources.map(({ tenantId }) => tenantId),
    sources.map(({ vmId }) => vmId),
    sources.map(({ bootId }) => bootId),
    sources.map(({ incarnationName }) => incarnationName),
    sources.map(({ incarnation }) => incarnation),
  ];
}

/** Two statements: what stands, then which targets that satisfies. */
export async function recordApplied(db: Db, acks: readonly AppliedAck[]): Promise<AcksRecorded> {
  if (acks.length === 0) return { rollouts: [], mismatches: [] };
  const { rows } = await db.query<MarkedRow>(
    `with acks as (
       select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[],
         $6::uuid[], $7::bigint[], $8::bytea[]) as k(${FROM_COLUMNS}, agent_id, generation, fingerprint)
     ), heard as (
       select k.tenant_id, k.vm_id, k.agent_id, k.generation, g.fingerprint as expected,
         coalesce(g.fingerprint = k.fingerprint, false) as is_expected
       from acks k ${HEARD}
       left join rotation.generations g on g.tenant_id = k.tenant_id
         and g.agent_id = k.agent_id and g.generation = k.generation
     ), locked as (
       select h.tenant_id, h.vm_id, h.agent_id, h.generation, a.applied as before
       from heard h join rotation.agents a using (tenant_id, agent_id)
       where h.is_expected order by h.tenant_id, h.agent_id for update of a
     ), raised as (
       update rotation.agents a
       set applied = greatest(a.applied, l.generation),
           applied_at = case when l.generation > a.applied then clock_timestamp() else a.applied_at end,
           failed_generation = case when a.failed_generation > l.generation then a.failed_generation end,
           release_due = a.release_due or l.generation > a.applied
       from locked l where a.tenant_id = l.tenant_id and a.agent_id = l.agent_id
     ), audited as (
       insert into rotation.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind,
         object_id, outcome, detail)
       select tenant_id, 'vm', vm_id, '', 'generation.apply', 'agent', agent_id::text, 'ok',
         jsonb_build_object('generation', generation)
       from locked where generation > before
     )
     select tenant_id, vm_id, agent_id, generation, is_expected from heard
     where is_expected or expected is not null`,
    [
      ...fromParams(acks.map(({ from }) => from)),
      acks.map(({ agentId }) => agentId),
      acks.map(({ generation }) => generation),
      acks.map(({ fingerprint }) => fingerprint),
    ],
    { name: "record_applied_acks" },
  );
  const accepted = new Set(rows.filter((row) => row.is_expected).map((row) => keyOf(row)));
  const good = acks.filter((ack) => accepted.has(`${ack.from.tenantId}/${ack.agentId}`));
  const rollouts = await closeSatisfied(
    db,
    good.map((ack) => ({ ...ack, tenantId: ack.from.tenantId })),
  );
  return { rollouts, mismatches: rows.filter((row) => !row.is_expected).map(toMismatch) };
}

interface MarkedRow {
  tenant_id: string;
  vm_id: string;
  agent_id: string;
  generation: bigint;
  is_expected: boolean;
}

function keyOf(row: MarkedRow): string {
  return `${row.tenant_id}/${row.agent_id}`;
}

function toMismatch(row: MarkedRow): Mismatch {
  return {
    tenantId: row.tenant_id,
    vmId: row.vm_id,
    agentId: row.agent_id,
    generation: row.generation,
  };
}

/**
 * Notes failures on agents and on the open targets of exactly that generation; not of a generation
 * beyond the desired one, which nobody asked the VM to get.
 */
export async function recordFailed(db: Db, acks: readonly FailedAck[]): Promise<RolloutRef[]> {
  if (acks.length === 0) return [];
  const { rows } = await db.query<{ tenant_id: string; rollout_id: string }>(
    `with acks as (
       select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[],
         $6::uuid[], $7::bigint[], $8::text[]) as k(${FROM_COLUMNS}, agent_id, generation, reason)
     ), locked as (
       select k.tenant_id, k.agent_id, k.generation, k.reason
       from acks k ${HEARD}
       where k.generation <= a.desired
       order by k.tenant_id, k.agent_id for update of a
     ), noted as (
       update rotation.agents a
       set failed_generation = l.generation, failed_reason = l.reason, failed_at = clock_timestamp()
       from locked l
       where a.tenant_id = l.tenant_id and a.agent_id = l.agent_id and l.generation > a.applied
     )
     update rotation.targets t set state = 'failed', reason = l.reason
     from locked l
     where t.tenant_id = l.tenant_id and t.agent_id = l.agent_id and t.generation = l.generation
       and (t.state = 'pending' or (t.state = 'failed' and t.reason <> l.reason))
     returning t.tenant_id, t.rollout_id`,
    [
      ...fromParams(acks.map(({ from }) => from)),
      acks.map(({ agentId }) => agentId),
      acks.map(({ generation }) => generation),
      acks.map(({ reason }) => reason),
    ],
    { name: "record_failed_acks" },
  );
  return rows.map((row) => ({ tenantId: row.tenant_id, rolloutId: row.rollout_id }));
}
