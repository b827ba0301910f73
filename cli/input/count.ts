import { UsageError } from "../errors";

/** As below, for an option that may be left out. */
export function parseOptionalCount(option: string, text: string | undefined): bigint | undefined {
  return text === undefined ? undefined : parseCount(option, text);
}

/** A whole number from 0 upward, as versions and revisions are. */
export function parseCount(option: string, text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw new UsageError(`${option} must be a whole number`);
  return BigInt(text);
}
