const UNITS = [
  { name: "day", ms: 86_400_000 },
  { name: "hour", ms: 3_600_000 },
  { name: "minute", ms: 60_000 },
  { name: "second", ms: 1_000 },
] as const;

/** Below this, seconds are of no interest. */
const JUST_NOW_MS = 10_000;

/** `3 minutes ago`, `in 2 hours`, `just now`; `-` for a time that is not known. */
export function relativeTime(time: Date | undefined, now: Date): string {
  if (!time) return "-";
  const distanceMs = Math.round((now.getTime() - time.getTime()) / 1_000) * 1_000;
  const unit = UNITS.find(({ ms }) => Math.abs(distanceMs) >= ms);
  if (!unit || Math.abs(distanceMs) < JUST_NOW_MS) return "just now";
  const count = Math.floor(Math.abs(distanceMs) / unit.ms);
  const words = `${count} ${unit.name}${count === 1 ? "" : "s"}`;
  return distanceMs > 0 ? `${words} ago` : `in ${words}`;
}
