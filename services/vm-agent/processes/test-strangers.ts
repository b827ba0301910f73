import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { isAlive, type ProcessIdentity, readProcess } from "../linux/proc";

/** Nothing of the environment that the tests are run in, which may be an agent's. */
const options = { encoding: "utf8", env: { PATH: "/usr/local/bin:/usr/bin:/bin" } } as const;

/** Processes that nobody here is above of, as those that are adopted. */
export interface Strangers {
  /** Starts a program in the background and lets go of it; the session stays the caller's. */
  start(argv: readonly string[], options?: { uid?: number; cwd?: string }): ProcessIdentity;
  /** The process that has written its pid there. */
  from(pidFile: string): ProcessIdentity;
  /** Ends those that were started, and those that were asked for. */
  end(): void;
}

export function createStrangers(): Strangers {
  const all: ProcessIdentity[] = [];
  const take = (pid: string): ProcessIdentity => {
    const info = readProcess(Number(pid));
    if (!info) throw new Error(`no process ${pid}`);
    const identity = { pid: info.pid, startTime: info.startTime };
    all.push(identity);
    return identity;
  };
  return {
    start: (argv, { uid, cwd } = {}) =>
      take(
        execFileSync(
          "/bin/sh",
          ["-c", '"$@" </dev/null >/dev/null 2>&1 & echo $!', "sh", ...argv],
          { ...options, ...(uid !== undefined && { uid }), ...(cwd && { cwd }) },
        ),
      ),
    from: (pidFile) => take(readFileSync(pidFile, "utf8")),
    end() {
      for (const each of all) if (isAlive(each)) process.kill(each.pid, "SIGKILL");
    },
  };
}
