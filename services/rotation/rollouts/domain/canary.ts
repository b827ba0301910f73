import { quoted } from "../../../../lib/quoted";
import type { AgentHealth } from "../../agents/domain/agent-health";
import { isTerminal, type Phase, type TargetState } from "../../protocol";

/** Stages in which something is still to be done. */
export type OpenCanaryStage = "canary" | "waiting" | "following" | "rolling-back";
export type OverCanaryStage = "passed" | "rolled-back" | "stopped";
export type CanaryStage = OpenCanaryStage | OverCanaryStage;

/** The canaries of a rollout, as they are shown. */
export interface Canary {
  stage: CanaryStage;
  agents: number;
  /** Who is still to follow. */
  waiting: number;
  stageUntil: Date;
  reason: string;
}

/** One canary, as it is now. */
export interface CanaryAgent {
  path: string;
  phase: Phase;
  target: TargetState;
  /** Why its target was skipped or failed. */
  targetReason: string;
  /** The check that its VM was asked for last; undefined: none. */
  checkId: string | undefined;
  health: AgentHealth | undefined;
}

/** What is known of a rollout with canaries when somebody looks after it. */
export interface CanaryState {
  rolloutId: string;
  stage: OpenCanaryStage;
  hasHealth: boolean;
  /** Whether the stage's time is over. */
  isLate: boolean;
  /** Why it failed. */
  reason: string;
  /** Who took the rollout back by hand. */
  rolledBackBy: string | undefined;
  agents: readonly CanaryAgent[];
}

/** What to do next. */
export type CanaryStep =
  | { kind: "nothing" }
  | { kind: "enter"; stage: OpenCanaryStage; reason: string }
  | { kind: "end"; stage: OverCanaryStage; reason: string }
  /** Let the next of those who wait follow. */
  | { kind: "follow" }
  | { kind: "roll-back" };

/** Whom rollouts that nobody asked for are requested by. */
export const OWN_NAME = "rotation";

/** How many of a selection come first; all of them when there are no more. */
export function canaryCount(size: { agents: number } | { percent: number }, total: number): number {
  const count = "agents" in size ? size.agents : Math.ceil((size.percent * total) / 100);
  return Math.max(1, Math.min(count, total));
}

/**
 * Decides what becomes of a rollout with canaries: they have to be on their generation, well by their
 * health check, and not to fail while the rest waits.
 */
export function nextCanaryStep(state: CanaryState): CanaryStep {
  const { stage, reason, rolledBackBy: by } = state;
  if (by !== undefined && (stage !== "rolling-back" || by !== OWN_NAME)) {
    const why = stage === "rolling-back" ? `${reason}; ` : "";
    return { kind: "end", stage: "rolled-back", reason: `${why}taken back by ${by}` };
  }
  if (stage === "rolling-back") return { kind: "roll-back" };
  if (stage === "following") return { kind: "follow" };
  const fault = faultOf(state);
  if (fault !== undefined) return { kind: "enter", stage: "rolling-back", reason: fault };
  if (stage === "waiting")
    return state.isLate ? { kind: "enter", stage: "following", reason } : { kind: "nothing" };
  return canaryStep(state);
}

function canaryStep(state: CanaryState): CanaryStep {
  const { rolloutId, hasHealth, isLate } = state;
  // Nobody else was left out: that is a fault, and has been seen before this.
  const living = state.agents.filter((agent) => !isOver(agent));
  if (living.length === 0)
    return { kind: "end", stage: "stopped", reason: "its canaries are over" };
  if (hasHealth && living.some(({ checkId }) => checkId !== rolloutId))
    return { kind: "end", stage: "stopped", reason: "another rollout took its canaries" };
  const behind = living.find(({ target }) => target !== "applied");
  const untold = hasHealth && living.find(({ health }) => health?.id !== rolloutId);
  if (!behind && !untold) return { kind: "enter", stage: "waiting", reason: "" };
  if (!isLate) return { kind: "nothing" };
  const late = behind
    ? `agent ${quoted(behind.path)} has not acked in time${detail(behind.targetReason)}`
    : `the health check of ${quoted(untold ? untold.path : "")} has not ended in time`;
  return { kind: "enter", stage: "rolling-back", reason: late };
}

/** Why the canaries are to be taken back. */
function faultOf({ rolloutId, agents }: CanaryState): string | undefined {
  for (const agent of agents) {
    const { path, phase, target, targetReason, health } = agent;
    if (phase === "failed") return `agent ${quoted(path)} failed`;
    // Its end ends its health check, too.
    if (isOver(agent)) continue;
    if (health?.id === rolloutId && health.outcome === "failed")
      return `health check failed on ${quoted(path)}: ${health.reason.replace(/^health: /, "")}`;
    if (target === "skipped") return `agent ${quoted(path)} was left out: ${targetReason}`;
  }
  return undefined;
}

/** At most so many are named in a reason; the rollback shows all. */
const MAX_NAMED = 3;

/** Why the canaries were taken back, and which living ones were not, by the rollback's targets. */
export function rolledBackReason(
  { reason, agents }: Pick<CanaryState, "reason" | "agents">,
  targets: readonly { path: string; state: TargetState; reason: string }[],
): string {
  // Nothing was done to those who were left out of the rollout itself.
  const untouched = new Set(agents.flatMap((it) => (it.target === "skipped" ? [it.path] : [])));
  const kept = targets.filter(
    (it) => it.state === "skipped" && !isEndReason(it.reason) && !untouched.has(it.path),
  );
  const named = kept
    .slice(0, MAX_NAMED)
    .map((it) => `agent ${quoted(it.path)} was NOT taken back: ${it.reason}`);
  const more = kept.length - named.length;
  return [
    reason,
    ...named,
    ...(more > 0 ? [`${more} more ${more === 1 ? "was" : "were"} NOT taken back`] : []),
  ].join("; ");
}

/** Whether a target was skipped because its agent had ended. */
function isEndReason(reason: string): boolean {
  return reason === "completed" || reason === "failed" || reason === "cancelled";
}

/** Whether it has ended or is being ended. */
function isOver({ phase, target, targetReason }: CanaryAgent): boolean {
  return isTerminal(phase) || (target === "skipped" && targetReason === "cancelled");
}

function detail(reason: string): string {
  return reason === "" ? "" : `: ${reason}`;
}
