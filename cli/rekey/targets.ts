import {
  RolloutKind,
  type RolloutTarget,
  TargetState,
} from "../../gen/murmur/rotation/v1/rollouts";
import { reloadWords } from "../agents/agent-table";
import { toReloadView } from "../agents/rotation-agent-keeper";
import { printable } from "../output/printable";
import { type Style } from "../output/style";
import { table } from "../output/table";
import { canaryToJson } from "./canary";
import { isCompleted, type RolloutView } from "./watch-rollout";

const WORDS: Partial<Record<TargetState, string>> = {
  [TargetState.TARGET_STATE_PENDING]: "pending",
  [TargetState.TARGET_STATE_APPLIED]: "applied",
  [TargetState.TARGET_STATE_FAILED]: "failed",
  [TargetState.TARGET_STATE_SKIPPED]: "skipped",
};

export function stateWord({ state }: RolloutTarget): string {
  return WORDS[state] ?? "unknown";
}

/** Targets that have not got there and still should. */
export function laggards(targets: readonly RolloutTarget[]): RolloutTarget[] {
  return targets.filter(({ state }) => !SETTLED.has(state));
}

const SETTLED: ReadonlySet<TargetState> = new Set([
  TargetState.TARGET_STATE_APPLIED,
  TargetState.TARGET_STATE_SKIPPED,
]);

export function skipped(targets: readonly RolloutTarget[]): RolloutTarget[] {
  return targets.filter(({ state }) => state === TargetState.TARGET_STATE_SKIPPED);
}

/** Skipped though their agents live: something is wrong with them, and `reason` says what. */
export function leftOut(targets: readonly RolloutTarget[]): RolloutTarget[] {
  return skipped(targets).filter(({ reason }) => !OVER.has(reason));
}

/** Why an agent that is over, or is being ended, is skipped. */
const OVER: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);

/** Targets a line each, with the reason of those that have not acked. */
export function targetTable(targets: readonly RolloutTarget[], style: Style): string[] {
  return table(
    targets,
    [
      { title: "AGENT", text: ({ path }) => path },
      { title: "VM", text: ({ vmName }) => vmName },
      { title: "GENERATION", text: ({ generation }) => String(generation) },
      { title: "STATE", text: stateWord, paint: (text, target) => paint(text, target, style) },
      { title: "REASON", text: whyWords },
    ],
    style.bold,
  );
}

function paint(text: string, { state }: RolloutTarget, style: Style): string {
  if (state === TargetState.TARGET_STATE_APPLIED) return style.green(text);
  if (state === TargetState.TARGET_STATE_FAILED) return style.red(text);
  return state === TargetState.TARGET_STATE_PENDING ? style.yellow(text) : style.dim(text);
}

/** Why it is not there; of one that is, how its programs were told of it when that has not gone well. */
function whyWords({ reason, reload }: RolloutTarget): string {
  if (reason !== "" || !reload) return reason;
  const told = toReloadView(reload);
  return told.outcome === "done" ? "" : `reload ${reloadWords(told)}`;
}

/** One line on a target that has not acked: who, where, why. */
export function laggardLine(target: RolloutTarget): string {
  const why = target.reason === "" ? "" : `: ${target.reason}`;
  return printable(`  ${target.path} on ${target.vmName} ${stateWord(target)}${why}`);
}

/** A rollout as JSON shows it, named as in the protocol. */
export function rolloutToJson({ rollout, targets }: RolloutView) {
  return {
    rollout_id: rollout.rolloutId,
    workspace: rollout.workspace,
    path: rollout.path,
    secret: rollout.secretName || undefined,
    state: isCompleted(rollout) ? "completed" : "open",
    requested_by: rollout.requestedBy,
    reason: rollout.reason,
    kind: rollout.kind === RolloutKind.ROLLOUT_KIND_ROLLBACK ? "rollback" : "rekey",
    canary: rollout.canary && canaryToJson(rollout.canary),
    rolls_back: rollout.rollsBack || undefined,
    rolled_back_by: rollout.rolledBackBy || undefined,
    accepted_at: rollout.acceptedAt,
    completed_at: rollout.completedAt,
    unchanged: rollout.unchanged,
    targets: targets.map((target) => ({
      agent_id: target.agentId,
      path: target.path,
      vm: target.vmName,
      generation: target.generation,
      state: stateWord(target),
      reason: target.reason,
      acked_at: target.ackedAt,
      omitted_names: target.omittedNames,
      reload: target.reload && toReloadView(target.reload),
    })),
  };
}
