import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askForPart } from "./parts-client";

export interface CliRun {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CliCall {
  input?: string | Buffer;
  env?: Record<string, string>;
  /** Where it runs; the directory of the test when absent. */
  cwd?: string;
  /** A link to the bundle by which it is run. */
  program?: string;
  /** Called as soon as it runs, with what Ctrl-C does. */
  onStart?: (interrupt: () => void) => void;
  /** Called with all of standard output so far, whenever there is more. */
  onOutput?: (stdout: string) => void;
  /** Called with all of standard error so far, whenever there is more. */
  onNote?: (stderr: string) => void;
  /** Typed as soon as standard output shows `after`; the input ends with it. */
  typed?: { after: string; keys: string };
}

export interface TestCli {
  /** The bundle. */
  file: string;
  /** An empty directory without a configuration above it. */
  directory: string;
  /** Runs `murmur` with these words as a process of its own, in an environment of its own. */
  run(words: readonly string[], call?: CliCall): Promise<CliRun>;
  /** The same on a terminal of 80 columns, standard output and error mixed; `input` is typed. */
  runOnTerminal(words: readonly string[], call?: CliCall): Promise<CliRun>;
  /** Writes a murmur.local.yaml into a new directory and returns that. */
  configured(config: Record<string, string>): string;
  remove(): void;
}

/** The CLI, bundled once in a run as the build does it, and a directory to run it in. `remove` it at the end. */
export async function buildTestCli(): Promise<TestCli> {
  const { file } = await askForPart<{ file: string }>("cli");
  const root = mkdtempSync(join(tmpdir(), "murmur-cli-"));
  const newDirectory = () => mkdtempSync(join(root, "cwd-"));
  const directory = newDirectory();
  return {
    file,
    directory,
    run: (words, call = {}) =>
      runProcess(process.execPath, ["--", call.program ?? file, ...words], {
        cwd: directory,
        ...call,
      }),
    runOnTerminal: (words, call = {}) => {
      const quoted = [process.execPath, "--", file, ...words].map(quoteForShell).join(" ");
      const command = `stty cols 80 rows 24; exec ${quoted}`;
      return runProcess("script", ["-qefc", command, "/dev/null"], { cwd: directory, ...call });
    },
    configured: (config) => {
      const into = newDirectory();
      const lines = Object.entries(config).map(([key, value]) => `${key}: ${value}\n`);
      writeFileSync(join(into, "murmur.local.yaml"), lines.join(""), { mode: 0o600 });
      return into;
    },
    remove: () => {
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function runProcess(command: string, args: string[], call: CliCall): Promise<CliRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: call.cwd,
      env: { PATH: process.env["PATH"] ?? "", TERM: "xterm", ...call.env },
      timeout: 100_000,
    });
    let stdout = "";
    let stderr = "";
    let { typed } = call;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      call.onOutput?.(stdout);
      if (!typed || !stdout.includes(typed.after)) return;
      child.stdin.end(typed.keys);
      typed = undefined;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      call.onNote?.(stderr);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      resolve({ code, stdout, stderr });
    });
    child.stdin.on("error", () => undefined); // A command that does not read its input.
    if (!typed) child.stdin.end(call.input ?? "");
    call.onStart?.(() => child.kill("SIGINT"));
  });
}

function quoteForShell(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
