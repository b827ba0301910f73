import type { CanaryWish } from "../../../../gen/murmur/rotation/v1/rollouts";
import { type FieldViolation, invalidFields } from "../../../../lib/errors";
import { isCommand } from "../../agents/domain/agent-settings";
import { canaryCount } from "./canary";

/** What was asked for, checked. */
export interface CanaryRequest {
  /** How many of so many come first. */
  countOf(total: number): number;
  /** Undefined: none is run. */
  health: { argv: readonly string[]; timeoutMs: number } | undefined;
  thenWaitMs: number;
}

const MAX_TIMEOUT_MS = 600_000;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_WAIT_MS = 86_400_000;

/** Throws INVALID_ARGUMENT that names every wrong field. */
export function readCanary(wish: CanaryWish | undefined): CanaryRequest | undefined {
  if (!wish) return undefined;
  const { size, health, healthTimeoutMs } = wish;
  const faults = faultsOf(wish);
  if (faults.length > 0 || !size) throw invalidFields(faults);
  const asked = size.$case === "agents" ? { agents: size.value } : { percent: size.value };
  return {
    countOf: (total) => canaryCount(asked, total),
    health: health && { argv: health.argv, timeoutMs: healthTimeoutMs || DEFAULT_TIMEOUT_MS },
    thenWaitMs: Number(wish.thenWaitMs),
  };
}

function faultsOf({ size, health, healthTimeoutMs, thenWaitMs }: CanaryWish): FieldViolation[] {
  const faults: FieldViolation[] = [];
  const require = (isGood: boolean, field: string, what: string) => {
    if (!isGood) faults.push({ field: `canary.${field}`, description: `${field} must ${what}` });
  };
  require(size !== undefined, "size", "be a number of agents or a percentage");
  if (size?.$case === "agents") require(size.value >= 1, "agents", "be 1 or more");
  if (size?.$case === "percent")
    require(size.value >= 1 && size.value <= 100, "percent", "be from 1 to 100");
  require(!health || isCommand(health.argv), "health", "be a command that names a program");
  const isTimeout = healthTimeoutMs >= 0 && healthTimeoutMs <= MAX_TIMEOUT_MS;
  require(isTimeout, "health_timeout_ms", "be within 10 minutes");
  require(thenWaitMs >= 0n && thenWaitMs <= MAX_WAIT_MS, "then_wait_ms", "be within a day");
  return faults;
}
