import { type AutoRotation } from "../../gen/murmur/rotation/v1/self_rotation";
import { UsageError } from "../errors";

const UNITS = { m: 60, h: 3_600, d: 86_400 } as const;
const MIN_SECONDS = 900;
const MAX_SECONDS = 90 * 86_400;

/** Seconds of `15m`, `24h` or `7d`; from 15 minutes to 90 days. */
export function parseEvery(text: string): number {
  const match = /^(\d{1,6})([mhd])$/.exec(text);
  const seconds = match ? Number(match[1]) * UNITS[match[2] as keyof typeof UNITS] : 0;
  if (seconds >= MIN_SECONDS && seconds <= MAX_SECONDS) return seconds;
  throw new UsageError("--every must be from 15m to 90d", "For example: --every 24h");
}

/** `24h`, `7d`, `90m`. */
export function everyWords({ every }: Pick<AutoRotation, "every">): string {
  const seconds = Number(every?.seconds ?? 0n);
  if (seconds > UNITS.d && seconds % UNITS.d === 0) return `${seconds / UNITS.d}d`;
  if (seconds % UNITS.h === 0) return `${seconds / UNITS.h}h`;
  return seconds % UNITS.m === 0 ? `${seconds / UNITS.m}m` : `${seconds}s`;
}
