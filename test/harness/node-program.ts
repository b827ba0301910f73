import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Evaluates each line of standard input, and answers with what came of it as one line of JSON. */
const TALKER = `
globalThis.require = require;
const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  let answer;
  try {
    answer = { value: await (0, eval)(line) };
  } catch (error) {
    answer = { threw: String(error && error.message) };
  }
  process.stdout.write(JSON.stringify(answer) + "\\n");
});
`;

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
  /** Lets it end by itself; kills it when it does not within 10 s. */
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
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid ?? 0,
    async ask(expression) {
      child.stdin.write(`${expression.replaceAll("\n", " ")}\n`);
      const line = (await answers.next()) as IteratorResult<string, undefined>;
      if (line.done) throw new Error(`the program ended: ${(await over).stderr}`);
      const answer = JSON.parse(line.value) as { value?: unknown; threw?: string };
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
  const patience = setTimeout(() => child.kill("SIGKILL"), 25_000);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(patience);
  return { code, ...texts };
}
