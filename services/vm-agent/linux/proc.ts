import { readdirSync, readFileSync } from "node:fs";

/**
 * Names one process for ever on this boot: the kernel hands a pid out again, but never with the
 * same start time.
 */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks since boot (field 22 of /proc/PID/stat). */
  startTime: number;
}

/** One row of the process table, as /proc/PID/stat tells it. */
export interface ProcessInfo extends ProcessIdentity {
  parentPid: number;
  /** Process group and session, each by the pid of its leader. */
  group: number;
  session: number;
  /** The kernel's short name: at most 15 bytes, set by the process itself, never to be trusted. */
  name: string;
  /** One letter: R, S, D, T, Z, X. */
  state: string;
  threads: number;
  /**
   * Where the stack of its program starts: another place after each exec. 0: the kernel does not
   * tell, as it tells nobody who may not trace the process.
   */
  stackStart: number;
}

// Positions behind the closing bracket of the name; proc(5) counts them from 3.
const STATE = 0;
const PARENT = 1;
const GROUP = 2;
const SESSION = 3;
const THREADS = 17;
const START_TIME = 19;
const STACK_START = 25;

/**
 * Reads one line of /proc/PID/stat; undefined when it is not one. The name may hold spaces,
 * brackets and newlines, so the fields are counted from the last closing bracket.
 */
export function parseStat(line: string): ProcessInfo | undefined {
  const open = line.indexOf("(");
  const close = line.lastIndexOf(")");
  if (open < 2 || close < open) return undefined;
  const pid = toCount(line.slice(0, open - 1));
  const fields = line.slice(close + 2).split(" ");
  const [parentPid, group, session, threads, startTime] = [
    PARENT,
    GROUP,
    SESSION,
    THREADS,
    START_TIME,
  ].map((index) => toCount(fields[index]));
  const state = fields[STATE];
  if (
    pid === undefined ||
    parentPid === undefined ||
    group === undefined ||
    session === undefined
  ) {
    return undefined;
  }
  if (threads === undefined || startTime === undefined || state?.length !== 1) return undefined;
  return {
    pid,
    parentPid,
    group,
    session,
    threads,
    startTime,
    state,
    stackStart: toCount(fields[STACK_START]) ?? 0,
    name: line.slice(open + 1, close),
  };
}

/** The process of that pid now, zombies included; undefined when there is none. */
export function readProcess(pid: number): ProcessInfo | undefined {
  const line = readProcFile(pid, "stat");
  return line === undefined ? undefined : parseStat(line);
}

/** Every process of the machine that this pid namespace shows, by pid. */
export function readProcessTable(): Map<number, ProcessInfo> {
  const table = new Map<number, ProcessInfo>();
  for (const entry of readdirSync("/proc")) {
    const pid = toCount(entry);
    const info = pid === undefined ? undefined : readProcess(pid);
    if (info) table.set(info.pid, info);
  }
  return table;
}

/**
 * Whether a process still does something. A zombie does not, except one whose other threads go on
 * after its first thread has ended.
 */
export function isLiving(info: ProcessInfo): boolean {
  if (info.state === "Z") return info.threads > 1;
  return info.state !== "X" && info.state !== "x";
}

/** Whether exactly this process is alive: not a zombie, and not another one under its pid. */
export function isAlive(identity: ProcessIdentity): boolean {
  const info = readProcess(identity.pid);
  return info?.startTime === identity.startTime && isLiving(info);
}

/** The real uid of a process; undefined when it is gone. */
export function readUid(pid: number): number | undefined {
  const status = readProcFile(pid, "status");
  return toCount(status?.match(/^Uid:\t(\d+)/m)?.[1]);
}

/**
 * Whether a process was started with exactly this NAME=value in its environment. What it tells
 * was chosen by whoever started the process: never a proof, only a hint for cleaning up.
 */
export function wasStartedWith(pid: number, entry: string): boolean {
  const block = readProcFile(pid, "environ");
  return block !== undefined && `\0${block}\0`.includes(`\0${entry}\0`);
}

/**
 * A file of a process that may end at any moment, or may not be ours to read: then undefined. Bytes
 * that are no UTF-8, such as a name that the kernel cut within a character, are replaced.
 */
export function readProcFile(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}

function toCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
