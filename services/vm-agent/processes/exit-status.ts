import { constants } from "node:os";
import { type ExitStatus } from "./agent";

const SIGNALS = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
);
/** Shells never report a death by one of these, so the number alone has to do. */
const NEVER_SAID = new Set<NodeJS.Signals>(["SIGINT", "SIGPIPE"]);

/**
 * Reads what the shim wrote: `exit <status>[ said]`. A shell adds 128 to the number of a signal,
 * as some programs do by themselves; `said` (the shell announced the death) tells the two apart,
 * but for SIGINT and SIGPIPE. Undefined when the text is not whole.
 */
export function parseExitStatus(text: string): ExitStatus | undefined {
  const match = /^exit (\d{1,3})( said)?\n/.exec(text);
  if (!match) return undefined;
  const status = Number(match[1]);
  const signal = SIGNALS.get(status - 128);
  const wasSaid = match[2] !== undefined;
  if (signal && (wasSaid || NEVER_SAID.has(signal))) return { kind: "signal", signal };
  return { kind: "code", code: status };
}
