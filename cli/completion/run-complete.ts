import { createContext } from "../context";
import { type Output } from "../output/output";
import { COMMAND_GROUPS } from "../syntax";
import { type Terminal } from "../terminal";
import { complete } from "./complete";
import { createLookup } from "./lookup";

/** Prints what the last word can become, a line each: what the scripts of the shells ask for. */
export async function runComplete(
  words: readonly string[],
  terminal: Terminal,
  output: Output,
): Promise<void> {
  const { context, close } = createContext(terminal, output);
  try {
    const commands = COMMAND_GROUPS.flatMap((group) => group.commands);
    output.lines(await complete(commands, words, createLookup(context)));
  } finally {
    close();
  }
}
