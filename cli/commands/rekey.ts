import { randomUUID } from "node:crypto";
import { type RekeyAgentResponse } from "../../gen/murmur/rotation/v1/rollouts";
import { isAppError } from "../../lib/errors";
import { retry } from "../../lib/retry";
import { evidenceWords } from "../agents/evidence-words";
import { type CommandContext, type Invocation, type Run } from "../command";
import { type Rotation } from "../connect-rotation";
import { LocalError, UsageError } from "../errors";
import { parseDurationMs } from "../input/duration";
import { printable } from "../output/printable";
import {
  type AgentProcesses,
  evidenceToJson,
  missingOf,
  waitForProcesses,
} from "../rekey/wait-for-processes";
import { startProgress } from "../rekey/progress";
import { rolloutToJson, laggards, skipped, targetTable } from "../rekey/targets";
import { byPath, isCompleted, type RolloutView, watchRollout } from "../rekey/watch-rollout";

/** Longest time for which the request itself is repeated while rotation is away. */
const ACCEPT_MS = 10_000;

interface RekeyWish {
  workspace: string;
  path: string;
  reason: string;
  timeout: string;
  timeoutMs: number;
  /** Wait for the processes, too, and not for the files only. */
  forProcesses: boolean;
}

/** Why the waiting ended. */
type Outcome = "completed" | "timed out" | "interrupted";

export const run: Run = async (context, call) => {
  const wish = await readWish(context, call);
  const { rollouts } = await context.rotation();
  const stop = new AbortController();
  const interrupt = context.terminal.onInterrupt(() => {
    stop.abort("interrupted");
  });
  const timer = setTimeout(() => {
    stop.abort("timed out");
  }, wish.timeoutMs);
  const startMs = context.clock.monotonicMs();
  try {
    const accepted = await accept(context, rollouts, wish, stop.signal);
    if (call.flag("no-wait")) reportStart(context, call, accepted);
    else {
      const { outcome, view } = await wait(context, rollouts, accepted, stop.signal);
      const deps = { rollouts, clock: context.clock, signal: stop.signal };
      const agents =
        wish.forProcesses && outcome === "completed"
          ? await waitForProcesses(deps, view.rollout.rolloutId)
          : undefined;
      const elapsedMs = Math.round(context.clock.monotonicMs() - startMs);
      report(context, call, { outcome, view, agents, elapsedMs, timeout: wish.timeout });
    }
  } finally {
    clearTimeout(timer);
    interrupt.takeBack();
  }
};

async function readWish(context: CommandContext, call: Invocation): Promise<RekeyWish> {
  const forProcesses = readWait(call.text("wait")) === "processes";
  const timeout = call.text("timeout") ?? "30s";
  const timeoutMs = parseDurationMs("--timeout", timeout);
  return {
    workspace: await context.requireWorkspace(call.text("workspace")),
    path: call.arg("slug"),
    reason: call.text("reason") ?? "",
    timeout,
    timeoutMs,
    forProcesses,
  };
}

function readWait(wait = "files"): "files" | "processes" {
  if (wait === "files" || wait === "processes") return wait;
  throw new UsageError("--wait must be files or processes");
}

/** One random request id for all attempts: however often it is sent, it is one rollout. */
async function accept(
  { output }: CommandContext,
  rollouts: Rotation["rollouts"],
  { workspace, path, reason, timeoutMs }: RekeyWish,
  signal: AbortSignal,
): Promise<RekeyAgentResponse> {
  const requestId = randomUUID();
  try {
    const accepted = await retry(
      () => rollouts.rekeyAgent({ workspace, path, requestId, reason }, { signal }),
      {
        deadlineMs: Math.min(ACCEPT_MS, timeoutMs),
        initialMs: 100,
        maxMs: 1_000,
        signal,
        shouldRetry: (error) => isAppError(error, "UNAVAILABLE"),
      },
    );
    for (const warning of accepted.warnings) output.warn(warning);
    return accepted;
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new LocalError(
      `${String(signal.reason)} before rotation answered`,
      "It may have been accepted all the same: use murmur rollouts to see.",
    );
  }
}

async function wait(
  { clock, output }: CommandContext,
  rollouts: Rotation["rollouts"],
  accepted: RekeyAgentResponse,
  signal: AbortSignal,
): Promise<{ outcome: Outcome; view: RolloutView }> {
  let view = toView(accepted);
  const stream = { isBroken: false };
  const onBreak = () => {
    stream.isBroken = true;
  };
  const progress = startProgress(output.live, clock, view.rollout.path);
  try {
    progress.show(view);
    const watch = watchRollout({ rollouts, clock, signal, onBreak }, view.rollout.rolloutId);
    for await (const next of watch) {
      view = next;
      stream.isBroken = false;
      progress.show(view);
    }
    const isOver = isCompleted(view.rollout);
    return { view, outcome: isOver ? "completed" : (signal.reason as Outcome) };
  } finally {
    progress.stop();
    if (stream.isBroken) output.warn("rotation does not answer any more; this was known last");
  }
}

function toView({ rollout, targets }: RekeyAgentResponse): RolloutView {
  if (!rollout) throw new Error("the service answered without a rollout");
  return { rollout, targets: byPath(targets) };
}

function reportStart(
  { output }: CommandContext,
  call: Invocation,
  accepted: RekeyAgentResponse,
): void {
  const view = toView(accepted);
  if (call.flag("json")) output.json(rolloutToJson(view));
  else output.line(`Rekey started: ${view.rollout.rolloutId}`);
}

interface Ending {
  outcome: Outcome;
  view: RolloutView;
  /** Only where processes were waited for. */
  agents: AgentProcesses[] | undefined;
  elapsedMs: number;
  timeout: string;
}

/** Tells how it ended; throws unless every agent has got there. */
function report(context: CommandContext, call: Invocation, ending: Ending): void {
  const { output } = context;
  const { outcome, view, agents, elapsedMs } = ending;
  if (call.flag("json"))
    output.json({
      ...rolloutToJson(view),
      ...(agents && { processes: agents.map(evidenceToJson) }),
      elapsed_ms: elapsedMs,
    });
  reportTargets(context, view);
  for (const { path, processes, generation } of agents ?? [])
    output.note(printable(`${path}: ${evidenceWords(processes, generation)}`));
  if (outcome !== "completed") throw unfinished(ending);
  if (agents) requireProcesses(agents);
  if (output.live.isLive) output.note(`${view.targets.length} agents in ${elapsedMs} ms`);
  if (!call.flag("json")) output.line("Rekeyed");
}

function reportTargets({ output }: CommandContext, { targets }: RolloutView): void {
  for (const { path, reason } of skipped(targets))
    output.note(printable(`skipped ${path}: ${reason}`));
  for (const { path, omittedNames } of targets)
    if (omittedNames.length > 0)
      output.warn(`${path}: not in every form of its environment: ${omittedNames.join(", ")}`);
  const late = laggards(targets);
  if (late.length === 0) return;
  for (const line of targetTable(late, output.errorStyle)) output.note(line);
}

/** Partial success is none: throws unless every process has the new set or will see it. */
function requireProcesses(agents: readonly AgentProcesses[]): void {
  const missing = agents.flatMap(missingOf).length;
  const all = agents.flatMap(({ processes }) => processes).length;
  const untold = agents.filter(({ isCurrent }) => !isCurrent).length;
  if (missing === 0 && untold === 0) return;
  throw new LocalError(
    missing > 0
      ? `${missing} of ${all} processes ${missing === 1 ? "is" : "are"} not known to use the new set`
      : `the VMs of ${untold} of ${agents.length} agents have not told of their processes yet`,
    "The files are in place. Use murmur status to see what each process has taken over.",
  );
}

function unfinished({ outcome, view: { rollout, targets }, timeout }: Ending): LocalError {
  const id = rollout.rolloutId;
  const hint = `The rollout goes on. Use murmur rollouts ${id} to follow it, murmur explain to see why.`;
  if (outcome === "interrupted") return new LocalError(`interrupted; rollout ${id} goes on`, hint);
  const late = laggards(targets).length;
  const count = `${late} of ${targets.length} agents`;
  return new LocalError(
    `${count} ${late === 1 ? "has" : "have"} not acked within ${timeout}`,
    hint,
  );
}
