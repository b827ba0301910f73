import { type CommandSyntax } from "../command";
import { type Style } from "./style";

/** Every command with what it does and an example. */
export function rootHelp(
  groups: readonly { title: string; commands: readonly CommandSyntax[] }[],
  style: Style,
): string {
  const sections = groups.map(({ title, commands }) =>
    [style.bold(title), ...commands.flatMap((command) => commandHelp(command, style))].join("\n"),
  );
  return `${[
    "murmur gives running agents fresh secrets without restarting them.",
    "Usage: murmur <command> [options]",
    ...sections,
    "Run murmur <command> --help for a command's options.",
  ].join("\n\n")}\n`;
}

function commandHelp({ path, args, summary, examples }: CommandSyntax, style: Style): string[] {
  const words = [...path, ...args.map(toWord)].join(" ");
  return [`  ${words}`, `      ${summary}.`, `      ${style.dim(`$ ${examples[0]}`)}`];
}

function toWord({ name, isOptional, isRest }: CommandSyntax["args"][number]): string {
  if (isRest) return `-- ${name}…`;
  return isOptional ? `[${name}]` : `<${name}>`;
}
