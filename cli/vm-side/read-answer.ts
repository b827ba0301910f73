import {
  type AdoptionView,
  type AgentDetails,
  type AgentView,
  type ProcessView,
  type ReloadView,
} from "../agents/agent-view";
import { isObject, type Json, textOf } from "./ask-daemon";

/** An agent as the daemon tells of it, named as in the protocol; what it leaves out is empty. */
export function toAgentView(value: unknown): AgentView {
  const agent = isObject(value) ? value : {};
  return {
    agentId: textOf(agent["agent_id"]),
    workspace: textOf(agent["workspace"]),
    path: textOf(agent["path"]),
    phase: textOf(agent["phase"]),
    vm: textOf(agent["vm"]),
    desiredGeneration: numberOf(agent["desired_generation"]),
    appliedGeneration: numberOf(agent["applied_generation"]),
    createdAt: timeOf(agent["created_at"]),
    endedAt: timeOf(agent["ended_at"]),
    exit: textOf(agent["exit"]) || undefined,
    developer: textOf(agent["developer"]),
    isEnding: agent["kill_requested"] === true,
    reload: isObject(agent["reload"]) ? toReloadView(agent["reload"]) : undefined,
    adoption: isObject(agent["adoption"]) ? toAdoptionView(agent["adoption"]) : undefined,
  };
}

function toAdoptionView(adoption: Json): AdoptionView {
  return {
    pid: numberOf(adoption["pid"]),
    name: textOf(adoption["name"]),
    startedAt: timeOf(adoption["started_at"]),
    directory: textOf(adoption["directory"]),
    canUse: listOf(adoption["can_use"]).map(textOf),
    cannotUse: listOf(adoption["cannot_use"]).map(textOf),
  };
}

function toReloadView({ generation, outcome, reason }: Json): ReloadView {
  return { generation: numberOf(generation), outcome: textOf(outcome), reason: textOf(reason) };
}

export function toAgentViews(value: unknown): AgentView[] {
  return listOf(value).map(toAgentView);
}

export function toAgentDetails(result: Json): AgentDetails {
  return {
    agent: toAgentView(result["agent"]),
    descendants: toAgentViews(result["descendants"]),
    processes: listOf(result["processes"]).map(toProcessView),
    reportedAt: timeOf(result["reported_at"]),
  };
}

export function toWarnings(result: Json): string[] {
  return listOf(result["warnings"]).map(textOf);
}

function toProcessView(value: unknown): ProcessView {
  const process = isObject(value) ? value : {};
  return {
    pid: numberOf(process["pid"]),
    parentPid: numberOf(process["parent_pid"]),
    name: textOf(process["name"]),
    generation: numberOf(process["generation"]),
    layer: textOf(process["layer"]),
    readsThrough: process["reads_through"] === true,
    notAppliedNatively: process["not_applied_natively"] === true,
    firstUsedAt: timeOf(process["first_used_at"]),
    lastUsedBeforeAt: timeOf(process["last_used_before_at"]),
  };
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Counters may come as texts: JSON has no 64-bit numbers. */
function numberOf(value: unknown): number {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : 0;
}

function timeOf(value: unknown): Date | undefined {
  const time = new Date(textOf(value));
  return Number.isNaN(time.getTime()) ? undefined : time;
}
