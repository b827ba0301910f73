import { UsageError } from "../errors";

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const MAX_MS = 24 * 3_600_000;

/** Milliseconds of `500ms`, `30s`, `2m` or `1h`; from 1 ms to a day. */
export function parseDurationMs(option: string, text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
  const ms = match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : 0;
  if (ms < 1 || ms > MAX_MS)
    throw new UsageError(`${option} must be a duration such as 500ms, 30s, 2m or 1h, up to 24h`);
  return ms;
}
