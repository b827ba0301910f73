import { Command, type CommanderError } from "commander";
import { type ArgumentSyntax, type CommandSyntax, type OptionSyntax } from "./command";
import { rootHelp } from "./output/root-help";
import { type Style } from "./output/style";
import { COMMAND_GROUPS } from "./syntax";
import { VERSION } from "./version";

/** Called with the command that was typed, once it fits its syntax. */
export type Action = (syntax: CommandSyntax, command: Command) => Promise<void>;

export interface ProgramDeps {
  action: Action;
  /** What was typed: only the commands that it can mean are made known to the parser. */
  words: readonly string[];
  style: Style;
  writeOut: (text: string) => void;
  writeErr: (text: string) => void;
}

/** What was typed fits no command; `path` is the command that it came nearest to. */
export class ParseFailure extends Error {
  constructor(
    readonly path: readonly string[],
    override readonly cause: CommanderError,
  ) {
    super(cause.message);
    this.name = "ParseFailure";
  }
}

/** A parser of commands; it throws ParseFailure where commander would exit. */
export function createProgram(deps: ProgramDeps): Command {
  const { action, style, words, writeOut, writeErr } = deps;
  const program = new Command("murmur");
  program
    .exitOverride(failAt([]))
    .configureOutput({ writeOut, writeErr, outputError: () => undefined })
    .configureHelp({ showGlobalOptions: false })
    .version(VERSION, "--version", "print the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand(false);
  for (const syntax of commandsFor(words)) addCommand(program, syntax, action);
  program.helpInformation = () => rootHelp(COMMAND_GROUPS, style);
  return program;
}

/** Those that begin with the first word; all when none does, so that a slip can be put right. */
function commandsFor(words: readonly string[]): readonly CommandSyntax[] {
  const all = COMMAND_GROUPS.flatMap(({ commands }) => commands);
  const meant = all.filter(({ path }) => path[0] === words[0]);
  return meant.length > 0 ? meant : all;
}

function addCommand(program: Command, syntax: CommandSyntax, action: Action): void {
  const command = findOrAdd(program, syntax.path);
  command.description([`${syntax.summary}.`, ...(syntax.details ?? [])].join("\n"));
  command.summary(syntax.summary);
  command.addHelpText("after", `\nExamples:\n${indent(syntax.examples)}`);
  for (const argument of syntax.args) command.argument(toNotation(argument));
  for (const option of syntax.options) addOption(command, option);
  command.action(() => action(syntax, command));
}

/** `secret` and its like come into being with the first of their commands. */
function findOrAdd(program: Command, path: readonly string[]): Command {
  let command = program;
  for (const [index, name] of path.entries()) {
    const known = command.commands.find((child) => child.name() === name);
    command = known ?? addChild(command, path.slice(0, index + 1));
  }
  return command;
}

function addChild(parent: Command, path: readonly string[]): Command {
  return parent
    .command(path.at(-1) ?? "")
    .helpCommand(false)
    .exitOverride(failAt(path));
}

function toNotation({ name, isOptional, isRest }: ArgumentSyntax): string {
  if (isRest) return `<${name}...>`;
  return isOptional ? `[${name}]` : `<${name}>`;
}

function addOption(command: Command, { flags, description, isList }: OptionSyntax): void {
  if (isList)
    command.option(flags, description, (value, list: string[] | undefined) => [
      ...(list ?? []),
      value,
    ]);
  else command.option(flags, description);
}

function failAt(path: readonly string[]) {
  return (error: CommanderError): never => {
    throw new ParseFailure(path, error);
  };
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join("\n");
}
