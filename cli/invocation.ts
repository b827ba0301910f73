import { type Command } from "commander";
import { type CommandSyntax, type Invocation } from "./command";

/** Reads what commander has parsed through the syntax that it was parsed by. */
export function toInvocation(syntax: CommandSyntax, command: Command): Invocation {
  const processed = command.processedArgs as (string | string[] | undefined)[];
  const values = new Map(syntax.args.map(({ name }, index) => [name, processed[index]]));
  const options = command.opts<Record<string, unknown>>();
  const option = (name: string) => options[toCamelCase(name)];
  return {
    arg: (name) => {
      const value = values.get(name);
      return typeof value === "string" ? value : "";
    },
    rest: processed.find((value) => Array.isArray(value)) ?? [],
    text: (name) => {
      const value = option(name);
      return typeof value === "string" ? value : undefined;
    },
    // commander keeps `--no-wait` as the absence of `--wait`.
    flag: (name) =>
      name.startsWith("no-") ? option(name.slice(3)) === false : option(name) === true,
    list: (name) => {
      const value = option(name);
      return Array.isArray(value) ? (value as string[]) : [];
    },
  };
}

/** The command and its arguments as errors name them; never options, which may hold values. */
export function triedWords(syntax: CommandSyntax, call: Invocation): string {
  const args = syntax.args.filter(({ isRest }) => !isRest).map(({ name }) => call.arg(name));
  return [...syntax.path, ...args].filter(Boolean).join(" ");
}

function toCamelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
