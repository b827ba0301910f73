import type { Tx } from "../../../../lib/postgres/db";
import { skippedReason, type Agent, type ExitStatus } from "../../agents/domain/agent";
import type { AgentAdoption } from "../../agents/domain/agent-adoption";
import type { AgentHealth } from "../../agents/domain/agent-health";
import type { AgentProcess } from "../../agents/domain/agent-process";
import type { AgentReload } from "../../agents/domain/agent-reload";
import { AGENT_COLUMNS, fromRow, type ProcessesRow } from "../../agents/store/agent-row";
import { isTerminal, mergeReport, type Phase } from "../../protocol";
import type { Report, RolloutRef } from "../domain/evidence";
import { findUses, type Use } from "../domain/uses";
import { skipTargets } from "./settle-targets";

/** A report that says nothing new is still noted this often, as a sign of life, and after an ack. */
const NOTE_EVERY = `interval '10 seconds'`;

/** What an agent becomes by a report. */
interface Change {
  agent: Agent;
  phase: Phase;
  exit: ExitStatus | undefined;
  processes: readonly AgentProcess[];
  uses: readonly Use[];
  reload: AgentReload | undefined;
  adoption: AgentAdoption | undefined;
  health: AgentHealth | undefined;
}

/** Records what VMs report of their agents; see EvidenceStore. */
export async function recordReports(tx: Tx, reports: readonly Report[]): Promise<RolloutRef[]> {
  const known = await lockReported(tx, reports);
  const changes = reports.flatMap((report) => {
    const row = known.get(`${report.from.tenantId}/${report.agentId}`);
    return row ? toChange(row, report) : [];
  });
  if (changes.length === 0) return [];
  await writeChanges(tx, changes);
  const ended = changes.filter(({ phase }) => isTerminal(phase));
  return skipTargets(
    tx,
    ended.map(({ agent, phase }) => ({
      tenantId: agent.tenantId,
      id: agent.id,
      reason: skippedReason({ ...agent, phase }),
    })),
  );
}

interface Reported {
  agent: Agent;
  processes: AgentProcess[];
  /** The newest generation that was seen in use. */
  used: bigint;
  /** Whether it is time to note a sign of life. */
  isDue: boolean;
}

async function lockReported(tx: Tx, reports: readonly Report[]): Promise<Map<string, Reported>> {
  const { rows } = await tx.query<ProcessesRow & { is_due: boolean; used: bigint }>(
    `select ${AGENT_COLUMNS}, a.processes, a.used,
       coalesce(a.reported_at < clock_timestamp() - ${NOTE_EVERY}, true)
         or coalesce(a.reported_at < a.applied_at, false) as is_due
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::uuid[])
       as k(tenant_id, vm_id, boot_id, incarnation_name, incarnation, agent_id)
     join rotation.vms v on v.tenant_id = k.tenant_id and v.vm_id = k.vm_id
       and v.boot_id = k.boot_id and v.incarnation = k.incarnation_name
       and v.incarnation_number = k.incarnation and v.removed_at is null
     join rotation.agents a
       on a.tenant_id = k.tenant_id and a.agent_id = k.agent_id and a.vm_id = k.vm_id
     order by a.tenant_id, a.agent_id for update of a`,
    [
      reports.map(({ from }) => from.tenantId),
      reports.map(({ from }) => from.vmId),
      reports.map(({ from }) => from.bootId),
      reports.map(({ from }) => from.incarnationName),
      reports.map(({ from }) => from.incarnation),
      reports.map(({ agentId }) => agentId),
    ],
    { name: "lock_reported_agents" },
  );
  return new Map(
    rows.map((row) => [
      `${row.tenant_id}/${row.agent_id}`,
      { agent: fromRow(row), processes: row.processes, used: row.used, isDue: row.is_due },
    ]),
  );
}

function toChange({ agent, processes, used, isDue }: Reported, report: Report): Change[] {
  if (isTerminal(agent.phase)) return [];
  const phase = mergeReport(agent.phase, report.phase, agent.killRequested);
  // A daemon that was started anew knows of no reload before, which is no reason to forget it.
  const reload = report.reload ?? agent.reload;
  const health = report.health ?? agent.health;
  const adoption = report.adoption ?? agent.adoption;
  const isNews =
    phase !== agent.phase ||
    digest(processes) !== digest(report.processes) ||
    isOther(agent.reload, reload) ||
    isOther(agent.adoption, adoption) ||
    isOther(agent.health, health);
  if (!isNews && !isDue) return [];
  const exit = isTerminal(phase)
    ? (report.exit ?? { kind: "unknown" as const, value: "" })
    : undefined;
  const living = isTerminal(phase) ? [] : report.processes;
  const uses = findUses({ used, processes }, report.processes);
  return [{ agent, phase, exit, processes: living, uses, reload, adoption, health }];
}

/** PostgreSQL gives an object's keys back in an order of its own. */
function digest(processes: readonly AgentProcess[]): string {
  return JSON.stringify(
    processes.map(({ receipt, ...process }) => [entries(process), entries(receipt ?? {})]),
  );
}

function isOther(before: object | undefined, now: object | undefined): boolean {
  return JSON.stringify(entries(before ?? {})) !== JSON.stringify(entries(now ?? {}));
}

function entries(object: object): [string, unknown][] {
  return Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1));
}

async function writeChanges(tx: Tx, changes: readonly Change[]): Promise<void> {
  const uses = changes.flatMap(({ agent, uses }) => uses.map((use) => ({ agent, use })));
  await tx.query(
    `with audited as (
       insert into rotation.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind,
         object_id, outcome, detail)
       select tenant_id, 'vm', vm_id, '', action, 'agent', agent_id, 'ok', detail
       from unnest($12::text[], $13::text[], $14::text[], $15::text[], $16::jsonb[])
         as u(tenant_id, vm_id, agent_id, action, detail)
     )
     update rotation.agents a
     set used = greatest(a.used, c.used), phase = c.phase, exit_kind = c.exit_kind, exit_value = c.exit_value,
         processes = c.processes, reload = c.reload, adoption = c.adoption, health = c.health,
         reported_at = clock_timestamp(),
         ended_at = case when c.is_over then clock_timestamp() end,
         release_due = a.release_due or c.is_over
     from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[],
       $7::boolean[], $8::jsonb[], $9::jsonb[], $10::jsonb[], $11::bigint[])
       as c(tenant_id, agent_id, phase, exit_kind, exit_value, processes, is_over, reload,
         adoption, health, used)
     where a.tenant_id = c.tenant_id and a.agent_id = c.agent_id`,
    [
      changes.map(({ agent }) => agent.tenantId),
      changes.map(({ agent }) => agent.id),
      changes.map(({ phase }) => phase),
      changes.map(({ exit }) => exit?.kind ?? null),
      changes.map(({ exit }) => exit?.value ?? null),
      changes.map(({ processes }) => JSON.stringify(processes)),
      changes.map(({ phase }) => isTerminal(phase)),
      changes.map(({ reload }) => (reload ? JSON.stringify(reload) : null)),
      changes.map(({ adoption }) => (adoption ? JSON.stringify(adoption) : null)),
      changes.map(({ health }) => (health ? JSON.stringify(health) : null)),
      changes.map(({ uses }) => uses.findLast((it) => it.which === "first-use")?.generation ?? 0n),
      uses.map(({ agent }) => agent.tenantId),
      uses.map(({ agent }) => agent.vmId),
      uses.map(({ agent }) => agent.id),
      uses.map(({ use }) => `generation.${use.which}`),
      uses.map(({ use: { generation, at } }) =>
        JSON.stringify({ generation: Number(generation), at }),
      ),
    ],
    { name: "write_reports" },
  );
}
