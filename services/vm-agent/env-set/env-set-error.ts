/**
 * What can go wrong between a set in memory and its files:
 * - `bad_set`: a name that is none, a name twice, a generation below one;
 * - `unsafe_directory`: a directory that is a link, belongs to someone else or that others write;
 * - `no_space`: the run directory's file system is too full; the old set is whole;
 * - `damaged`: a file that is there does not read as what was written;
 * - `io`: any other failure of a system call; the old set is whole.
 */
export type EnvSetFault = "bad_set" | "unsafe_directory" | "no_space" | "damaged" | "io";

/** The narrow failure of this folder. Its message names files and names, never a value. */
export class EnvSetError extends Error {
  readonly fault: EnvSetFault;

  constructor(fault: EnvSetFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "EnvSetError";
    this.fault = fault;
  }
}

const SPACE_CODES: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
const UNSAFE_CODES: ReadonlySet<string> = new Set(["ELOOP", "ENOTDIR"]);

/** The errno name of a failed system call, or "" for any other error. */
export function errnoOf(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

/** Gives a failed system call its meaning; an EnvSetError stays as it is. */
export function toEnvSetError(error: unknown, what: string): EnvSetError {
  if (error instanceof EnvSetError) return error;
  const code = errnoOf(error);
  if (SPACE_CODES.has(code)) return new EnvSetError("no_space", `${what}: no space left`, error);
  if (UNSAFE_CODES.has(code)) {
    return new EnvSetError("unsafe_directory", `${what}: not a directory of ours`, error);
  }
  return new EnvSetError("io", `${what}: ${code || "failed"}`, error);
}
