import { type Command } from "commander";
import { createContext } from "./context";
import { type CommandSyntax } from "./command";
import { UsageError } from "./errors";
import { describeFailure } from "./failure";
import { toInvocation, triedWords } from "./invocation";
import { createOutput, type Output } from "./output/output";
import { createProgram, ParseFailure } from "./program";
import { type Terminal } from "./terminal";
import { isOnVm } from "./vm-side/is-on-vm";

export type ExitCode = 0 | 1 | 2;

/** Does what the words after `murmur` say and resolves with the status to exit with. */
export async function runCli(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const output = createOutput(terminal);
  if (isRekeyOnVm(words, terminal)) {
    output.note("rekey is not supported on VMs");
    return 1;
  }
  if (words[0] === "__complete") {
    const { runComplete } = await import("./completion/run-complete.js");
    await runComplete(words.slice(1), terminal, output);
    return 0;
  }
  let tried = "";
  const program = createProgram({
    words,
    style: output.style,
    writeOut: (text) => terminal.stdout.write(text),
    writeErr: (text) => terminal.stderr.write(text),
    action: async (syntax, command) => {
      const call = toInvocation(syntax, command);
      tried = triedWords(syntax, call);
      await runCommand(syntax, command, { terminal, output });
    },
  });
  try {
    await program.parseAsync(words, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof ParseFailure) return reportParseFailure(error, output);
    return report(tried, error, output);
  }
}

async function runCommand(
  syntax: CommandSyntax,
  command: Command,
  { terminal, output }: { terminal: Terminal; output: Output },
): Promise<void> {
  const { context, close } = createContext(terminal, output);
  try {
    const { run } = await syntax.load();
    await run(context, toInvocation(syntax, command));
  } finally {
    output.live.clear();
    close();
  }
}

/** Looked at before anything else: whatever follows, it is not for a VM. */
function isRekeyOnVm(words: readonly string[], terminal: Terminal): boolean {
  return isOnVm(terminal.env) && words.find((word) => !word.startsWith("-")) === "rekey";
}

function reportParseFailure({ path, cause }: ParseFailure, output: Output): ExitCode {
  if (cause.exitCode === 0) return 0;
  // Help instead of a command was printed already.
  if (cause.code === "commander.help") return 2;
  const [message = "", suggestion] = cause.message.replace(/^error: /, "").split("\n");
  const hint = `Try murmur ${[...path, "--help"].join(" ")}.`;
  return report(
    path.join(" "),
    new UsageError([message, suggestion].join(" ").trim(), hint),
    output,
  );
}

function report(tried: string, error: unknown, output: Output): ExitCode {
  const { lines, exitCode } = describeFailure(tried, error);
  for (const line of lines) output.note(line);
  return exitCode;
}
