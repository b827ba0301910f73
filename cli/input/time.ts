import { UsageError } from "../errors";

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d{1,5})(m|h|d)$/;
/** RFC 3339: a time without its zone would mean another moment on another machine. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/;

/** A moment that has been, by itself or as a time before now: `2030-01-31T12:00:00Z`, `24h`. */
export function parsePastTime(option: string, text: string, now: Date): Date {
  const later = DURATION.test(text) ? parseTime(option, text, now) : undefined;
  if (later) return new Date(2 * now.getTime() - later.getTime());
  if (TIME.test(text)) return parseTime(option, text, now);
  throw new UsageError(
    `${option} must be a time such as 2030-01-31T12:00:00Z, or one before now such as 30m, 24h or 30d`,
  );
}

/** The moment that an option names, by itself or as a time from now: `2030-01-31T12:00:00Z`, `30d`. */
export function parseTime(option: string, text: string, now: Date): Date {
  const [, count, unit] = DURATION.exec(text) ?? [];
  const time = count
    ? new Date(now.getTime() + Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS])
    : new Date(TIME.test(text) && isDay(text.slice(0, 10)) ? text : Number.NaN);
  if (!Number.isNaN(time.getTime())) return time;
  throw new UsageError(
    `${option} must be a time such as 2030-01-31T12:00:00Z, or one from now such as 30m, 24h or 30d`,
  );
}

/** Date takes the 31st of February for a day in March. */
function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}
