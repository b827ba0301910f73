import { UsageError } from "../errors";

/** A whole number from 0 upward, as versions and revisions are. */
export function parseCount(option: string, text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw new UsageError(`${option} must be a whole number`);
  return BigInt(text);
}
