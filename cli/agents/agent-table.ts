import { relativeTime } from "../output/relative-time";
import { type Style } from "../output/style";
import { type Column, table } from "../output/table";
import { type AdoptionView, type AgentView, type ReloadView } from "./agent-view";

/** Agents a line each: slug, phase, VM, generation; the workspace when there are several. */
export function agentTable(agents: readonly AgentView[], style: Style): string[] {
  const isMixed = new Set(agents.map(({ workspace }) => workspace)).size > 1;
  const workspace: Column<AgentView> = { title: "WORKSPACE", text: (agent) => agent.workspace };
  return table(
    agents,
    [
      ...(isMixed ? [workspace] : []),
      { title: "SLUG", text: ({ path }) => path },
      { title: "PHASE", text: phaseWords, paint: (text, agent) => paintPhase(text, agent, style) },
      { title: "VM", text: ({ vm }) => vm },
      { title: "GENERATION", text: generationWords },
    ],
    style.bold,
  );
}

/** `4`, or `3 of 4` for one that is still on its way. */
export function generationWords({ appliedGeneration, desiredGeneration }: AgentView): string {
  return appliedGeneration === desiredGeneration
    ? String(desiredGeneration)
    : `${appliedGeneration} of ${desiredGeneration}`;
}

/** `done for generation 4`, `failed for generation 4: hook: exit 3`. */
export function reloadWords({ outcome, generation, reason }: ReloadView): string {
  const words = `${outcome} for generation ${generation}`;
  return reason === "" ? words : `${words}: ${reason}`;
}

export function phaseWords({ phase, isEnding, endedAt }: AgentView): string {
  return isEnding && !endedAt ? `${phase}, ending` : phase;
}

export function paintPhase(text: string, { phase }: AgentView, style: Style): string {
  if (phase === "failed") return style.red(text);
  if (phase === "running" || phase === "idle") return style.green(text);
  return phase === "starting" ? style.yellow(text) : style.dim(text);
}

/** An agent as JSON shows it, named as in the protocol. */
export function agentToJson(agent: AgentView) {
  return {
    agent_id: agent.agentId,
    workspace: agent.workspace,
    path: agent.path,
    phase: agent.phase,
    vm: agent.vm,
    desired_generation: agent.desiredGeneration,
    applied_generation: agent.appliedGeneration,
    created_at: agent.createdAt,
    ended_at: agent.endedAt,
    exit: agent.exit,
    developer: agent.developer,
    kill_requested: agent.isEnding,
    reload: agent.reload,
    adoption: agent.adoption && adoptionToJson(agent.adoption),
  };
}

function adoptionToJson({ startedAt, canUse, cannotUse, ...adoption }: AdoptionView) {
  return { ...adoption, started_at: startedAt, can_use: canUse, cannot_use: cannotUse };
}

/** `2 minutes ago`, and for one that is over how and when it ended. */
export function lifeWords({ createdAt, endedAt, exit }: AgentView, now: Date): string {
  const started = `started ${relativeTime(createdAt, now)}`;
  if (!endedAt) return started;
  return `${started}, ended ${relativeTime(endedAt, now)}${exit === undefined ? "" : ` (${exit})`}`;
}
