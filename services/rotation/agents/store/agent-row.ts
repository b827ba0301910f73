import type { Phase } from "../../protocol";
import type { Agent, ExitStatus, LaunchableAgent } from "../domain/agent";
import type { AgentAdoption } from "../domain/agent-adoption";
import type { AgentProcess } from "../domain/agent-process";
import type { AgentHealth, AgentHealthCheck } from "../domain/agent-health";
import type { AgentReload } from "../domain/agent-reload";
import { settingsFromJson } from "../domain/agent-settings";

/** Columns of `rotation.agents` (as `a`) that make an Agent. */
export const AGENT_COLUMNS = `
  a.tenant_id, a.agent_id, a.workspace, a.slug, a.path, a.parent_id, a.root_id, a.ancestor_ids,
  a.vm_id, a.vm_name, a.developer, a.phase, a.kill_requested, a.desired, a.desired_at,
  a.applied, a.applied_at, a.failed_generation, a.failed_reason, a.failed_at,
  a.exit_kind, a.exit_value, a.created_at, a.ended_at, a.reported_at, a.revision,
  a.expects_spawn_secrets, a.binding, a.reload, a.adoption, a.health`;

/** Whether the agent `a` lives, in SQL; the same words as in the partial indexes. */
export const IS_LIVING = `a.phase in ('starting', 'running', 'idle')`;

export interface AgentRow {
  tenant_id: string;
  agent_id: string;
  workspace: string;
  slug: string;
  path: string;
  parent_id: string | null;
  root_id: string;
  ancestor_ids: string[];
  vm_id: string;
  vm_name: string;
  developer: string;
  phase: Phase;
  kill_requested: boolean;
  desired: bigint;
  desired_at: Date | null;
  applied: bigint;
  applied_at: Date | null;
  failed_generation: bigint | null;
  failed_reason: string | null;
  failed_at: Date | null;
  exit_kind: ExitStatus["kind"] | null;
  exit_value: string | null;
  created_at: Date;
  ended_at: Date | null;
  reported_at: Date | null;
  revision: bigint;
  expects_spawn_secrets: boolean;
  binding: Buffer;
  reload: AgentReload | null;
  adoption: AgentAdoption | null;
  health: AgentHealth | null;
}

/** An AgentRow with its processes. */
export interface ProcessesRow extends AgentRow {
  processes: AgentProcess[];
}

/** Columns beyond AGENT_COLUMNS that make a LaunchableAgent, with generations as `g`. */
export const LAUNCH_COLUMNS = `
  a.command, a.working_directory, a.settings, a.health_check, a.launch_mac, g.fingerprint`;

/** Joins the desired generation of the agent `a` as `g`. */
export const JOIN_DESIRED = `
  left join rotation.generations g
    on g.tenant_id = a.tenant_id and g.agent_id = a.agent_id and g.generation = a.desired`;

export interface LaunchRow extends AgentRow {
  command: string[];
  working_directory: string;
  settings: unknown;
  health_check: AgentHealthCheck | null;
  launch_mac: Buffer;
  fingerprint: Buffer | null;
}

/** The one mapping of a row of `rotation.agents`. */
export function fromRow(row: AgentRow): Agent {
  return {
    tenantId: row.tenant_id,
    id: row.agent_id,
    workspace: row.workspace,
    slug: row.slug,
    path: row.path,
    parentId: row.parent_id ?? undefined,
    rootId: row.root_id,
    ancestorIds: row.ancestor_ids,
    vmId: row.vm_id,
    vmName: row.vm_name,
    developer: row.developer,
    phase: row.phase,
    killRequested: row.kill_requested,
    desired: row.desired,
    desiredAt: row.desired_at ?? undefined,
    applied: row.applied,
    appliedAt: row.applied_at ?? undefined,
    failure: toFailure(row),
    exit: row.exit_kind ? { kind: row.exit_kind, value: row.exit_value ?? "" } : undefined,
    createdAt: row.created_at,
    endedAt: row.ended_at ?? undefined,
    reportedAt: row.reported_at ?? undefined,
    revision: row.revision,
    expectsSpawnSecrets: row.expects_spawn_secrets,
    binding: row.binding,
    reload: row.reload ?? undefined,
    adoption: row.adoption ?? undefined,
    health: row.health ?? undefined,
  };
}

export function fromLaunchRow(row: LaunchRow): LaunchableAgent {
  return {
    ...fromRow(row),
    command: row.command,
    workingDirectory: row.working_directory,
    settings: settingsFromJson(row.settings),
    healthCheck: row.health_check ?? undefined,
    launchMac: row.launch_mac,
    fingerprint: row.fingerprint ?? Buffer.alloc(0),
  };
}

function toFailure(row: AgentRow): Agent["failure"] {
  if (row.failed_generation === null || row.failed_at === null) return undefined;
  return {
    generation: row.failed_generation,
    reason: row.failed_reason ?? "",
    at: row.failed_at,
  };
}
