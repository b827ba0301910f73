import { invalid } from "../../../../lib/errors";

/** How long an old value may stay valid beside the new one, and how people say it. */
export const GRACE_PERIODS: ReadonlyMap<number, string> = new Map([
  [0, "0"],
  [900, "15m"],
  [3_600, "1h"],
  [21_600, "6h"],
  [86_400, "24h"],
  [259_200, "3d"],
  [604_800, "7d"],
]);

/** Returns one of them; throws INVALID_ARGUMENT that lists them for anything else, and for none. */
export function readGrace(seconds: number | undefined): number {
  if (seconds !== undefined && GRACE_PERIODS.has(seconds)) return seconds;
  const known = [...GRACE_PERIODS].map(([period, words]) =>
    period === 0 ? "0" : `${period} (${words})`,
  );
  const what = seconds === undefined ? "is required" : `${seconds} is not one`;
  throw invalid("grace_seconds", `grace_seconds ${what}: ${known.join(", ")}`);
}
