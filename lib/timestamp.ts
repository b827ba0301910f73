import { invalid } from "./errors";

/** The range of `google.protobuf.Timestamp`. */
const FIRST = Date.parse("0001-01-01T00:00:00Z");
const LAST = Date.parse("9999-12-31T23:59:59.999Z");

/** A time that a request brings; throws INVALID_ARGUMENT for one outside of the years 1 to 9999. */
export function readTimestamp(field: string, time: Date | undefined): Date | undefined {
  const ms = time?.getTime();
  if (ms === undefined || (ms >= FIRST && ms <= LAST)) return time;
  throw invalid(field, `${field} must be a time from the year 1 to the year 9999`);
}
