import { UsageError } from "../errors";

/** Reads `NAME` or `NAME@VERSION`; throws UsageError when what follows the @ is no version. */
export function parseSecretVersion(
  option: string,
  text: string,
): { name: string; version: bigint | undefined } {
  const [name = "", version, ...rest] = text.split("@");
  if (version === undefined) return { name, version };
  if (rest.length > 0 || !/^[1-9]\d{0,17}$/.test(version))
    throw new UsageError(`${option} must be NAME or NAME@VERSION, with a version from 1 upward`);
  return { name, version: BigInt(version) };
}
