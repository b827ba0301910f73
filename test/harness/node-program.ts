import { spawn, type ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Evaluates each line of standard input, and answers with its number and what came of it. */
const TALKER = `
globalThis.require = require;
const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const [, number, expression] = /^(\\d+) (.*)$/s.exec(line);
  let answer;
  try {
    answer = { value: await (0, eval)(expression) };
  } catch (error) {
    answer = { threw: String(error && error.message) };
  }
  process.stdout.write("answer " + number + " " + JSON.stringify(answer) + "\\n");
});
`;

/** From its start: it is killed then. */
const PATIENCE_MS = 100_000;

/** How a program ended, with all that it printed. */
export interface EndedProgram {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A Node program that does what it is asked, for tests of what runs inside it. */
export interface NodeProgram {
  pid: number;
  /** The value of an expression in the program, as JSON carries it; rejects when it throws there. */
  ask(expression: string): Promise<unknown>;
  /** Lets it end by itself. */
  end(): Promise<EndedProgram>;
}

/** Runs a real Node to its end; `args` are Node's own. */
export async function runNode(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  { node = process.execPath, cwd }: { node?: string; cwd?: string } = {},
): Promise<EndedProgram> {
  const child = spawn(node, [...args], { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
  return ended(child);
}

/** Starts a real Node program with this environment and nothing else. */
export function startNodeProgram(
  env: NodeJS.ProcessEnv,
  { node = process.execPath, args = [] }: { node?: string; args?: readonly string[] } = {},
): NodeProgram {
  const folder = mkdtempSync(join(tmpdir(), "murmur-program-"));
  const script = join(folder, "talker.cjs");
  writeFileSync(script, TALKER);
  const child = spawn(node, [...args, script], { env, stdio: ["pipe", "pipe", "pipe"] });
  const over = ended(child);
  const answers = new EventEmitter();
  createInterface({ input: child.stdout }).on("line", (line) => {
    // What it says unasked is no answer.
    const [, number, answer] = /^answer (\d+) (.*)$/.exec(line) ?? [];
    if (number !== undefined && answer !== undefined) answers.emit(number, answer);
  });
  let questions = 0;
  return {
    pid: child.pid ?? 0,
    async ask(expression) {
      const number = String(++questions);
      const answered = once(answers, number) as Promise<[string]>;
      child.stdin.write(`${number} ${expression.replaceAll("\n", " ")}\n`);
      const ended = over.then(({ stderr }) => {
        throw new Error(`the program ended: ${stderr}`);
      });
      const [text] = await Promise.race([answered, ended]);
      const answer = JSON.parse(text) as { value?: unknown; threw?: string };
      if (answer.threw !== undefined) throw new Error(answer.threw);
      return answer.value;
    },
    async end() {
      child.stdin.end();
      try {
        return await over;
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

async function ended(child: ChildProcess): Promise<EndedProgram> {
  const texts = { stdout: "", stderr: "" };
  child.stdout?.on("data", (bytes: Buffer) => (texts.stdout += bytes.toString()));
  child.stderr?.on("data", (bytes: Buffer) => (texts.stderr += bytes.toString()));
  const patience = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(patience);
  return { code, ...texts };
}
