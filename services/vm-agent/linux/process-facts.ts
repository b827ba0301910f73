import { readFileSync, statSync } from "node:fs";
import { constants } from "node:os";
import { type ProcessIdentity, readProcFile } from "./proc";

/** Ticks of the kernel's clock in a second, as it tells them to programs on every architecture. */
const TICKS_PER_SECOND = 100;

/** How long a process has existed, in milliseconds; by no clock that can be set. */
export function ageMsOf({ startTime }: ProcessIdentity): number {
  const [uptime] = readFileSync("/proc/uptime", "latin1").split(" ");
  return (Number(uptime) - startTime / TICKS_PER_SECOND) * 1000;
}

/** What /proc/PID/status tells of a process; undefined when it is gone. */
export interface ProcessStatus {
  /** Real, effective, saved, and for files. */
  uids: readonly number[];
  /** The group for files, and the supplementary ones. */
  groups: readonly number[];
  /** False for a part of the kernel, and for one that has ended. */
  hasMemory: boolean;
}

export function readStatus(pid: number): ProcessStatus | undefined {
  const status = readProcFile(pid, "status");
  if (status === undefined) return undefined;
  const numbers = (name: string) =>
    (new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "")
      .split(/\s+/)
      .filter(Boolean)
      .map(Number);
  return {
    uids: numbers("Uid"),
    groups: [...numbers("Gid").slice(3), ...numbers("Groups")],
    hasMemory: /^VmSize:/m.test(status),
  };
}

/** Whether the process has a handler for the signal, or ignores it on purpose. */
export function handlesSignal(pid: number, name: NodeJS.Signals): boolean {
  const bit = 1n << BigInt(constants.signals[name] - 1);
  const masks = [
    ...(readProcFile(pid, "status") ?? "").matchAll(/^Sig(?:Cgt|Ign):\s*([0-9a-f]+)$/gm),
  ];
  return masks.some(([, mask = "0"]) => (BigInt(`0x${mask}`) & bit) !== 0n);
}

/** Whether a process finds the same directory under this path as we do; undefined: not to be told. */
export function seesDirectory(pid: number, path: string): boolean | undefined {
  try {
    const ours = statSync(path);
    const its = statSync(`/proc/${pid}/root${path}`, { throwIfNoEntry: false });
    return its?.dev === ours.dev && its.ino === ours.ino;
  } catch {
    return undefined; // Not ours to look at, or gone.
  }
}

/** What a name had in the environment that a process was started with: a hint, never a proof. */
export function startedWith(pid: number, name: string): string | undefined {
  const entries = readProcFile(pid, "environ")?.split("\0") ?? [];
  return entries.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}
