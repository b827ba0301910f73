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
const MEMORY = 20;
const CODE_END = 24;
const STACK_START = 25;
const ENV_START = 47;
const ENV_END = 48;

/** At a process that goes on becoming another program. */
const LOOKS = 3;

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
 * was chosen by whoever started the process: never a proof, only a hint for cleaning up. Undefined:
 * not to be told now, since the process is becoming another program and has none for a moment.
 */
export function wasStartedWith(pid: number, entry: string): boolean | undefined {
  for (let look = 0; look < LOOKS; look++) {
    const block = readProcFile(pid, "environ");
    if (block !== "") return block !== undefined && `\0${block}\0`.includes(`\0${entry}\0`);
    const bytes = environmentBytes(pid);
    if (bytes === 0) return false;
    if (bytes === undefined) return undefined;
    // It has got one since: the next look finds it.
  }
  return undefined;
}

/** How long the block of a process is; undefined while it becomes a program, 0 for one without any. */
function environmentBytes(pid: number): number | undefined {
  const [memory = 0, codeEnd = 0, start = 0, end = 0] = readPlaces(pid);
  if (memory === 0 || start < end) return end - start;
  // The kernel sets the places of the code when it has put the environment in its place.
  if (end > 0) return codeEnd > 0 ? 0 : undefined;
  // Some kernels tell these places of nobody.
  return readPlaces(process.pid)[3] === 0 ? 0 : undefined;
}

/** The size of its memory, where its code ends, its environment starts and ends; 0 of what has ended. */
function readPlaces(pid: number): number[] {
  const line = readProcFile(pid, "stat") ?? "";
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return [MEMORY, CODE_END, ENV_START, ENV_END].map((index) => toCount(fields[index]) ?? 0);
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
