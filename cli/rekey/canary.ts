import {
  CanaryStage,
  type Canary,
  type CanaryWish,
  type Rollout,
} from "../../gen/murmur/rotation/v1/rollouts";
import { type Invocation } from "../command";
import { LocalError, UsageError } from "../errors";
import { parseDurationMs } from "../input/duration";
import { printable } from "../output/printable";

/** Longest time that the service gives canaries to get there, beside that of their health check. */
const CANARY_WITHIN_MS = 300_000;
const HEALTH_TIMEOUT = "10s";

/** What the options ask for, and how long it may take in all. */
export interface CanaryOptions {
  wish: CanaryWish;
  withinMs: number;
}

/** Undefined without `--canary`; throws UsageError for options that are wrong or alone. */
export function readCanary(call: Invocation): CanaryOptions | undefined {
  const size = call.text("canary");
  const options = ["health", "health-timeout", "then-wait"];
  if (size === undefined) {
    const alone = options.find((option) => call.text(option) !== undefined);
    if (alone !== undefined) throw new UsageError(`--${alone} goes with --canary`);
    return undefined;
  }
  const [health, timeout = HEALTH_TIMEOUT, wait] = options.map((option) => call.text(option));
  if (health === "") throw new UsageError("--health must be a command");
  const healthTimeoutMs = parseDurationMs("--health-timeout", timeout);
  const thenWaitMs = wait === undefined ? 0 : parseDurationMs("--then-wait", wait);
  return {
    wish: {
      size: readSize(size),
      // As typed: the VM's shell reads it.
      health: health === undefined ? undefined : { argv: ["sh", "-c", health] },
      healthTimeoutMs,
      thenWaitMs: BigInt(thenWaitMs),
    },
    withinMs: CANARY_WITHIN_MS + healthTimeoutMs + thenWaitMs,
  };
}

function readSize(text: string): CanaryWish["size"] {
  const [, digits = "", percent] = /^([1-9]\d{0,8})(%?)$/.exec(text) ?? [];
  const value = Number(digits);
  if (digits === "" || (percent === "%" && value > 100))
    throw new UsageError("--canary must be a number of agents, or 1% to 100%");
  return percent === "%" ? { $case: "percent", value } : { $case: "agents", value };
}

const WORDS: Partial<Record<CanaryStage, string>> = {
  [CanaryStage.CANARY_STAGE_CANARY]: "canary",
  [CanaryStage.CANARY_STAGE_WAITING]: "waiting",
  [CanaryStage.CANARY_STAGE_FOLLOWING]: "following",
  [CanaryStage.CANARY_STAGE_ROLLING_BACK]: "rolling back",
  [CanaryStage.CANARY_STAGE_PASSED]: "passed",
  [CanaryStage.CANARY_STAGE_ROLLED_BACK]: "rolled back",
  [CanaryStage.CANARY_STAGE_STOPPED]: "stopped",
};

export function stageWord({ stage }: Canary): string {
  return WORDS[stage] ?? "unknown";
}

const OVER = new Set([
  CanaryStage.CANARY_STAGE_PASSED,
  CanaryStage.CANARY_STAGE_ROLLED_BACK,
  CanaryStage.CANARY_STAGE_STOPPED,
]);

/** Whether nothing is to be done about the canaries any more. */
export function isOver({ stage }: Canary): boolean {
  return OVER.has(stage);
}

/** How it stands with a rollout's canaries: `1 agent, waiting; 9 still to follow`. */
export function canaryWords(canary: Canary): string {
  const { agents, agentsWaiting, reason } = canary;
  const rest = isOver(canary) ? "left as they are" : "still to follow";
  return [
    `${agents} ${agents === 1 ? "agent" : "agents"}, ${stageWord(canary)}`,
    ...(reason === "" ? [] : [reason]),
    ...(agentsWaiting === 0 ? [] : [`${agentsWaiting} ${rest}`]),
  ].join("; ");
}

/** Whether nothing follows the canaries, now or ever. */
export function hasFailed({ canary }: Rollout): boolean {
  return (
    canary?.stage === CanaryStage.CANARY_STAGE_ROLLED_BACK ||
    canary?.stage === CanaryStage.CANARY_STAGE_STOPPED
  );
}

/** Throws when the canaries were taken back or nobody follows them. */
export function requireCanary(rollout: Rollout): void {
  const { canary, rolledBackBy } = rollout;
  if (!canary || !hasFailed(rollout)) return;
  const isBack = canary.stage === CanaryStage.CANARY_STAGE_ROLLED_BACK;
  const what = isBack ? "rolled back" : "stopped";
  throw new LocalError(
    printable(`canary ${what}: ${canary.reason}`),
    isBack
      ? printable(
          `Nobody else was changed. Use murmur rollouts ${rolledBackBy} to see the rollback.`,
        )
      : printable(`Nobody else was changed. Use murmur rollouts ${rollout.rolloutId} to see it.`),
  );
}

export function canaryToJson(canary: Canary) {
  return {
    stage: stageWord(canary),
    agents: canary.agents,
    agents_waiting: canary.agentsWaiting,
    stage_until: canary.stageUntil,
    reason: canary.reason,
  };
}
