import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import {
  environmentOf,
  type installForTest,
  run,
  type Run,
  type Surroundings,
} from "../exec/exec-program";

export type Layers = ReturnType<typeof installForTest>;

/** The surroundings of a bash when only this layer is on, unless they say otherwise. */
export function surroundings(layers: Layers, at: Surroundings): Surroundings {
  const stub = join(layers.path, "bash", "stub.bash");
  // Without SHLVL and with a socket as input bash believes to be run by rshd: it reads .bashrc and
  // no BASH_ENV.
  const own = { SHLVL: "1", LD_PRELOAD: "", MURMUR_LIVE_DIR: layers.path, BASH_ENV: stub };
  return { layers: "bash", ...at, block: { ...own, ...at.block } };
}

/** Runs `bash <args>` to its end. */
export function runBash(layers: Layers, at: Surroundings, ...args: string[]): Run {
  return run(surroundings(layers, at), "bash", ...args);
}

/** A running bash that does what the test says, a step at a time. */
export interface BashProgram {
  pid: number;
  /** Evaluates commands in the shell itself; returns what they wrote to standard output. */
  step(commands: string): Promise<string>;
  stderr(): string;
  /** Ends its input and waits for its exit code. */
  end(): Promise<number | null>;
}

const running = new Set<ChildProcess>();

/** For after each test: one that failed leaves its program behind. */
export function endPrograms(): void {
  for (const child of running) child.kill("SIGKILL");
}

const END = "\0end of step\0";
/** A step is one line, so its own lines are folded; nothing but `read` runs between steps. */
const DRIVER = `while IFS= read -r __step; do eval "\${__step@E}"; printf '\\0end of step\\0'; done`;

/** Starts a bash; `end` it. */
export function startBash(layers: Layers, at: Surroundings, ...options: string[]): BashProgram {
  const child = spawn("bash", [...options, "-c", DRIVER], {
    env: environmentOf(surroundings(layers, at)),
    stdio: "pipe",
  });
  let stdout = "";
  let stderr = "";
  let wake = () => {};
  let exit: number | null | undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    wake();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  running.add(child);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  void ended.then((code) => {
    running.delete(child);
    exit = code;
    wake();
  });
  return {
    pid: child.pid ?? 0,
    step: async (commands) => {
      const escaped = commands.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
      child.stdin.write(`${escaped}\n`);
      while (!stdout.includes(END)) {
        if (exit !== undefined) throw new Error(`bash ended with ${exit}: ${stderr}`);
        await new Promise<void>((resolve) => (wake = resolve));
      }
      const at = stdout.indexOf(END);
      const said = stdout.slice(0, at);
      stdout = stdout.slice(at + END.length);
      return said;
    },
    stderr: () => stderr,
    end: () => {
      child.stdin.end();
      return ended;
    },
  };
}
