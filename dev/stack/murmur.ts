import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
  /** From start to exit, milliseconds. */
  tookMs: number;
}

const REACHABLE_MS = 60_000;
const AWAY = /: (?:UNAVAILABLE|DEADLINE_EXCEEDED): /;

/** Runs the product's own command line, as the person at the terminal would. */
export class Murmur {
  constructor(
    private readonly root: string,
    private readonly configFile: string,
    /** Where it is run; here when absent. */
    private readonly cwd?: string,
  ) {}

  /** Runs a command to its end; throws with what it said when it exits with anything but 0. */
  async run(args: readonly string[], input = ""): Promise<CommandResult> {
    return succeeded(args, await this.tryRun(args, input));
  }

  /** As `run`, for what does no harm twice: a service that is not to be reached is asked again, for a minute. */
  async runOnceReachable(args: readonly string[], input = ""): Promise<CommandResult> {
    const untilMs = performance.now() + REACHABLE_MS;
    for (;;) {
      const result = await this.tryRun(args, input);
      const isAway = result.code !== 0 && AWAY.test(result.stderr);
      if (!isAway || performance.now() > untilMs) return succeeded(args, result);
      await delay(500);
    }
  }

  /** As `run`, and leaves the exit code to the caller. */
  tryRun(args: readonly string[], input = ""): Promise<CommandResult> {
    const startedMs = performance.now();
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, ["--", join(this.root, "bin", "murmur"), ...args], {
        env: {
          PATH: process.env["PATH"],
          HOME: process.env["HOME"],
          MURMUR_CONFIG: this.configFile,
        },
        cwd: this.cwd,
        stdio: ["pipe", "pipe", "pipe"],
        timeout: 60_000,
      });
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
      child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
      child.on("error", reject);
      child.on("close", (code, signal) => {
        if (signal) stderr += `ended by ${signal}`;
        resolve({ code: code ?? 1, stdout, stderr, tookMs: performance.now() - startedMs });
      });
      child.stdin.on("error", () => undefined); // A command that does not read its input.
      child.stdin.end(input);
    });
  }
}

function succeeded(args: readonly string[], result: CommandResult): CommandResult {
  if (result.code === 0) return result;
  throw new Error(`murmur ${args.join(" ")} exited with ${result.code}: ${result.stderr.trim()}`);
}
