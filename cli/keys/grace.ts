import { UsageError } from "../errors";

/** What `--grace` takes, in seconds. There is no default: how long an old value lives is a decision. */
const PERIODS: ReadonlyMap<string, number> = new Map([
  ["0", 0],
  ["15m", 900],
  ["1h", 3_600],
  ["6h", 21_600],
  ["24h", 86_400],
  ["3d", 259_200],
  ["7d", 604_800],
]);

/** As they are typed. */
export const GRACE_WORDS: readonly string[] = [...PERIODS.keys()];

/** Seconds; throws UsageError that lists the periods when there is none or another. */
export function parseGrace(text: string | undefined): number {
  const seconds = text === undefined ? undefined : PERIODS.get(text);
  if (seconds !== undefined) return seconds;
  throw new UsageError(
    `--grace must be one of ${GRACE_WORDS.join(", ")}`,
    "With 0 the old value ends at once, else it stays valid beside the new one for that long.",
  );
}
