import { type Rollout, RolloutKind } from "../../gen/murmur/rotation/v1/rollouts";
import { allPages } from "../all-pages";
import { type CommandContext, type Invocation, type Run } from "../command";
import { UsageError } from "../errors";
import { parseCount } from "../input/count";
import { printable } from "../output/printable";
import { relativeTime } from "../output/relative-time";
import { table } from "../output/table";
import { patient } from "../patient";
import { canaryWords, hasFailed, isOver, stageWord } from "../rekey/canary";
import { subjectWords } from "../rekey/subject";
import { rolloutToJson, targetTable } from "../rekey/targets";
import { byPath, isCompleted } from "../rekey/watch-rollout";

export const run: Run = (context, call) =>
  call.arg("rollout") === "" ? list(context, call) : show(context, call);

async function list(context: CommandContext, call: Invocation): Promise<void> {
  const { output, clock } = context;
  const limit = parseLimit(call.text("limit"));
  const workspace = (await context.findWorkspace(call.text("workspace"))) ?? "";
  const { rollouts } = await context.rotation();
  const all = await allPages(
    (page) => rollouts.listRollouts({ workspace, ...page }),
    (page) => page.rollouts,
    limit,
  );
  if (call.flag("json")) output.json(all.map((rollout) => summaryToJson(rollout)));
  else output.lines(rolloutTable(all, clock.now(), output.style.bold));
}

function parseLimit(text = "20"): number {
  const limit = Number(parseCount("--limit", text));
  if (limit === 0) throw new UsageError("--limit must be at least 1");
  return limit;
}

async function show(context: CommandContext, call: Invocation): Promise<void> {
  const { output, clock } = context;
  const { rollouts } = await context.rotation();
  const rolloutId = call.arg("rollout");
  const { rollout, targets } = await patient(() => rollouts.getRollout({ rolloutId }));
  if (!rollout) throw new Error("the service answered without a rollout");
  const view = { rollout, targets: byPath(targets) };
  if (call.flag("json")) {
    output.json(rolloutToJson(view));
    return;
  }
  const state = isCompleted(rollout) ? "completed" : "open";
  const when = relativeTime(rollout.acceptedAt, clock.now());
  output.line(
    printable(`${subjectWords(rollout)}: ${state}, asked for ${when} by ${rollout.requestedBy}`),
  );
  if (rollout.reason !== "") output.line(printable(`reason: ${rollout.reason}`));
  if (rollout.canary) output.line(printable(`canary: ${canaryWords(rollout.canary)}`));
  if (rollout.rollsBack !== "") output.line(`takes back: ${printable(rollout.rollsBack)}`);
  if (rollout.rolledBackBy !== "") output.line(`taken back by: ${printable(rollout.rolledBackBy)}`);
  output.lines(targetTable(view.targets, output.style));
}

function rolloutTable(
  rollouts: Rollout[],
  now: Date,
  paintTitle: (text: string) => string,
): string[] {
  return table(
    rollouts,
    [
      { title: "ROLLOUT", text: ({ rolloutId }) => rolloutId },
      { title: "AGENT", text: subjectWords },
      { title: "KIND", text: kindWord },
      { title: "STATE", text: stateWords },
      { title: "WHEN", text: ({ acceptedAt }) => relativeTime(acceptedAt, now) },
      { title: "BY", text: ({ requestedBy }) => requestedBy },
      { title: "REASON", text: reasonWords },
    ],
    paintTitle,
  );
}

function kindWord({ kind }: Rollout): string {
  return kind === RolloutKind.ROLLOUT_KIND_ROLLBACK ? "rollback" : "rekey";
}

/** Why it was asked for, and why it did not go on. */
function reasonWords({ reason, canary }: Rollout): string {
  const why = canary?.reason ? `canary: ${canary.reason}` : "";
  return [reason, why].filter(Boolean).join("; ");
}

function stateWords(rollout: Rollout): string {
  const { canary } = rollout;
  if (canary && !isOver(canary))
    return `${stageWord(canary)}, ${canary.agentsWaiting} still to follow`;
  if (canary && hasFailed(rollout)) return stageWord(canary);
  if (isCompleted(rollout)) return rollout.rolledBackBy === "" ? "completed" : "rolled back";
  return `open, ${rollout.targetsApplied + rollout.targetsSkipped} of ${rollout.targetsTotal}`;
}

function summaryToJson(rollout: Rollout) {
  const { targets: _targets, ...summary } = rolloutToJson({ rollout, targets: [] });
  return {
    ...summary,
    targets_total: rollout.targetsTotal,
    targets_applied: rollout.targetsApplied,
    targets_failed: rollout.targetsFailed,
    targets_skipped: rollout.targetsSkipped,
  };
}
