import fc from "fast-check";
import { sensitive } from "../../lib/sensitive";
import { type EnvSet } from "../../services/vm-agent/env-set/env-set";

/** What breaks quoting, line reading, expansion and decoding somewhere. */
const NASTY = [
  ...Array.from("'\"\\$`{}()#=!~;&|<>*?[]%^ \t\n\r"),
  "${A}",
  "${",
  "$(",
  "\\\\",
  "\\'",
  "'\\''",
  "\\n",
  "\r\n",
  "\nB=",
  "\nexport B=",
  " #",
  "\u007f",
  "\u001b",
  "\u0001",
  "\u0081",
  "\u0085",
  "\u00a0",
  "\u2028",
  "\u2029",
  "\ufeff",
  "\ufdd0",
  "\uffff",
  "\u{1fffe}",
  "é",
  "日",
  "🗝",
];

/** Text for a value: any Unicode, with what is known to be hard well mixed in. NUL never. */
export function nastyValue(): fc.Arbitrary<string> {
  const plain = fc
    .string({ unit: "binary", maxLength: 4 })
    .map((text) => text.replaceAll("\0", ""));
  const piece = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...NASTY) }, plain);
  return fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(""));
}

/** A set of the values, as NAME_0, NAME_1, …; generation 1 of `agent-1` unless told. */
export function envSetOf(
  values: readonly string[],
  { agentId = "agent-1", generation = 1n }: { agentId?: string; generation?: bigint } = {},
): EnvSet {
  const variables = values.map((value, at) => ({
    name: `NAME_${at}`,
    value: sensitive(Buffer.from(value)),
    delivery: "environment" as const,
  }));
  return { agentId, generation, variables, unset: [], fingerprint: `f${generation}` };
}
