import { type AppError, isAppError } from "../lib/errors";
import { HintedError, LocalError, UsageError } from "./errors";
import { hintFor } from "./hints";
import { printable } from "./output/printable";

/** Lines for standard error, and the status to exit with. */
export interface Failure {
  lines: string[];
  exitCode: 1 | 2;
}

/**
 * Says what went wrong: `murmur: <what was tried>: <CODE>: <message>`, then a line with what can be
 * done about it.
 */
export function describeFailure(tried: string, error: unknown): Failure {
  if (error instanceof HintedError)
    return toFailure(withHint(messageLines(tried, error.cause), error.hint), 1);
  if (error instanceof UsageError) {
    const hint = error.hint ?? "Try murmur --help.";
    return toFailure(withHint(messageLines(tried, error), hint), 2);
  }
  return toFailure(withHint(messageLines(tried, error), hintOf(error)), 1);
}

/** Values of ours: the first characters, which may be shown, and the rest. */
const VALUES = /\b(mur_(?:key|agt|join)_[\w-]{0,4})[\w-]*/g;

/** Keys of providers, which are hashed and never shown: how they begin, and the rest. */
const PROVIDER_KEYS = /\b(sk-(?:ant-)?|AIza)[\w-]{16,}/g;

/** What was typed is shown again, and people paste the value of a key that has leaked. */
function toFailure(lines: readonly string[], exitCode: Failure["exitCode"]): Failure {
  const hide = (line: string) => line.replace(VALUES, "$1…").replace(PROVIDER_KEYS, "$1…");
  return { lines: lines.map(hide), exitCode };
}

function messageLines(tried: string, error: unknown): string[] {
  const prefix = tried === "" ? "murmur" : `murmur: ${printable(tried)}`;
  if (isAppError(error)) return appErrorLines(prefix, error);
  return [`${prefix}: ${printable(error instanceof Error ? error.message : String(error))}`];
}

function appErrorLines(prefix: string, error: AppError): string[] {
  const others = error.violations
    .slice(1)
    .map(({ description }) => `  also: ${printable(description)}`);
  return [`${prefix}: ${error.code}: ${printable(error.message)}`, ...others];
}

function hintOf(error: unknown): string | undefined {
  if (isAppError(error)) return hintFor(error);
  if (error instanceof LocalError) return error.hint;
  return "This is a bug in murmur, or this machine is in trouble.";
}

function withHint(lines: string[], hint: string | undefined): string[] {
  return hint === undefined ? lines : [...lines, hint];
}
