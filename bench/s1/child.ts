import { type ChildProcess, spawn } from "node:child_process";

/** Starts one of this bundle's roles as a process of its own. */
export function startRole(name: string, args: string[], env: Record<string, string> = {}): Child {
  const child = spawn(process.execPath, [__filename, "role", name, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
  return { pid: child.pid ?? 0, stop: () => stop(child) };
}

export interface Child {
  pid: number;
  stop(): Promise<void>;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}
