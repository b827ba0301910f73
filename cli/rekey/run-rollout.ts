import { type RekeyAgentResponse } from "../../gen/murmur/rotation/v1/rollouts";
import { isAppError } from "../../lib/errors";
import { retry } from "../../lib/retry";
import { evidenceWords } from "../agents/evidence-words";
import { type CommandContext, type Invocation } from "../command";
import { type Rotation } from "../connect-rotation";
import { LocalError, UsageError } from "../errors";
import { parseDurationMs } from "../input/duration";
import { printable } from "../output/printable";
import { canaryWords, isOver, requireCanary } from "./canary";
import { startProgress } from "./progress";
import { reloadsOf, requireReloads, warnOfReloads } from "./reloads";
import { laggards, leftOut, rolloutToJson, skipped, targetTable } from "./targets";
import {
  type AgentProcesses,
  evidenceToJson,
  missingOf,
  waitForProcesses,
} from "./wait-for-processes";
import { byPath, isCompleted, type RolloutView, watchRollout } from "./watch-rollout";

/** Longest time for which the request itself is repeated while rotation is away. */
const ACCEPT_MS = 10_000;

/** What is asked of rotation, the words for it, and how long to wait. */
interface RolloutWish extends Waiting {
  /** Asks for the rollout; sent again with the same request id while rotation is away. */
  ask: (rollouts: Rotation["rollouts"], signal: AbortSignal) => Promise<RekeyAgentResponse>;
  /** `Rekeyed`. */
  done: string;
  /** `Rekey started`. */
  started: string;
  /** `Rekeying`. */
  doing: string;
  /** What it is done to. */
  what: string;
}

/** What the options `timeout` and `wait` say. */
export interface Waiting {
  timeout: string;
  timeoutMs: number;
  /** Wait for the processes, too, and not for the files only. */
  forProcesses: boolean;
}

/** Why the waiting ended. */
type Outcome = "completed" | "timed out" | "interrupted";

/**
 * Starts a rollout, waits for it unless `no-wait` is given, and tells how it went, in JSON when
 * `json` is. Throws unless every agent has got there.
 */
export async function runRollout(
  context: CommandContext,
  call: Invocation,
  wish: RolloutWish,
): Promise<void> {
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
    if (call.flag("no-wait")) reportStart(context, call, accepted, wish);
    else {
      const { outcome, view } = await wait(context, rollouts, { accepted, wish }, stop.signal);
      const deps = { rollouts, clock: context.clock, signal: stop.signal };
      const agents =
        wish.forProcesses && outcome === "completed"
          ? await waitForProcesses(deps, view.rollout.rolloutId)
          : undefined;
      const elapsedMs = Math.round(context.clock.monotonicMs() - startMs);
      const { timeout, done } = wish;
      report(context, call, { outcome, view, agents, elapsedMs, timeout, done });
    }
  } finally {
    clearTimeout(timer);
    interrupt.takeBack();
  }
}

/** Throws UsageError for wrong ones. */
export function readWaiting(call: Invocation): Waiting {
  const timeout = call.text("timeout") ?? "30s";
  return {
    timeout,
    timeoutMs: parseDurationMs("--timeout", timeout),
    forProcesses: readWait(call.text("wait")) === "processes",
  };
}

function readWait(wait = "files"): "files" | "processes" {
  if (wait === "files" || wait === "processes") return wait;
  throw new UsageError("--wait must be files or processes");
}

async function accept(
  { output }: CommandContext,
  rollouts: Rotation["rollouts"],
  { ask, timeoutMs }: RolloutWish,
  signal: AbortSignal,
): Promise<RekeyAgentResponse> {
  try {
    const accepted = await retry(() => ask(rollouts, signal), {
      deadlineMs: Math.min(ACCEPT_MS, timeoutMs),
      initialMs: 100,
      maxMs: 1_000,
      signal,
      shouldRetry: (error) => isAppError(error, "UNAVAILABLE"),
    });
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
  { accepted, wish }: { accepted: RekeyAgentResponse; wish: RolloutWish },
  signal: AbortSignal,
): Promise<{ outcome: Outcome; view: RolloutView }> {
  let view = toView(accepted);
  const stream = { isBroken: false };
  const onBreak = () => {
    stream.isBroken = true;
  };
  const progress = startProgress(output.live, clock, `${wish.doing} ${wish.what}`);
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
  { started }: RolloutWish,
): void {
  const view = toView(accepted);
  if (call.flag("json")) output.json(rolloutToJson(view));
  else output.line(`${started}: ${view.rollout.rolloutId}`);
}

interface Ending {
  outcome: Outcome;
  view: RolloutView;
  /** Only where processes were waited for. */
  agents: AgentProcesses[] | undefined;
  elapsedMs: number;
  timeout: string;
  done: string;
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
  warnOfReloads(output, agents ?? reloadsOf(view.targets));
  requireCanary(view.rollout);
  if (outcome !== "completed") throw unfinished(ending);
  requireEveryAgent(view);
  if (agents) requireReloads(agents);
  if (agents) requireProcesses(agents);
  if (output.live.isLive) output.note(`${view.targets.length} agents in ${elapsedMs} ms`);
  if (!call.flag("json")) output.line(ending.done);
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

/** Nor is it success when a living agent got nothing: nobody comes back to it by itself. */
function requireEveryAgent({ targets }: RolloutView): void {
  const without = leftOut(targets);
  if (without.length === 0) return;
  const count = `${without.length} of ${targets.length} agents`;
  const names = without.map(({ path }) => path).join(", ");
  throw new LocalError(
    printable(`${count} ${without.length === 1 ? "was" : "were"} left out: ${names}`),
    "All others have got there. Use murmur explain to see what is wrong with an agent.",
  );
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
  if (rollout.canary && !isOver(rollout.canary))
    return new LocalError(
      printable(`canary: ${canaryWords(rollout.canary)} after ${timeout}`),
      hint,
    );
  const late = laggards(targets).length;
  const count = `${late} of ${targets.length} agents`;
  return new LocalError(
    `${count} ${late === 1 ? "has" : "have"} not acked within ${timeout}`,
    hint,
  );
}
