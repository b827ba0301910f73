import { spawn } from "node:child_process";
import { join } from "node:path";

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
  /** From start to exit, milliseconds. */
  tookMs: number;
}

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
    const result = await this.tryRun(args, input);
    if (result.code !== 0)
      throw new Error(
        `murmur ${args.join(" ")} exited with ${result.code}: ${result.stderr.trim()}`,
      );
    return result;
  }

  /** The same, and leaves the exit code to the caller. */
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
