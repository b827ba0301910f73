import { type Stats } from "node:fs";
import * as nodeFs from "node:fs";
import { dirname, isAbsolute, normalize, parse } from "node:path";
import { EnvSetError, errnoOf } from "./env-set-error";

/** What an operator should know of the run directory; none of it stops the daemon. */
export interface RunDirWarning {
  code: "not_tmpfs" | "swap_on";
  message: string;
}

const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;
const STICKY = 0o1000;
const OTHERS_WRITE = 0o022;

/**
 * Makes `<runDir>` (0755) and `<runDir>/agents` (0711, agents pass but do not list) where they are
 * missing, and returns the latter with what is worth a warning: values in memory only need a
 * tmpfs and no swap. Throws EnvSetError `unsafe_directory` when another user than root and
 * `uid` could replace any directory on the way.
 */
export function prepareRunDir(
  runDir: string,
  uid: number,
): { agentsDirectory: string; warnings: RunDirWarning[] } {
  if (!isAbsolute(runDir) || normalize(runDir) !== runDir || runDir.endsWith("/")) {
    throw new EnvSetError(
      "unsafe_directory",
      `run directory ${runDir} is not a plain absolute path`,
    );
  }
  const agentsDirectory = `${runDir}/agents`;
  requireSafeParents(firstThatExists(dirname(runDir)), uid);
  nodeFs.mkdirSync(dirname(runDir), { recursive: true, mode: 0o755 });
  makeDirectory(runDir, 0o755);
  requireSafe(runDir, uid);
  makeDirectory(agentsDirectory, 0o711);
  requireSafe(agentsDirectory, uid);
  return { agentsDirectory, warnings: checkRunDir(agentsDirectory) };
}

/** Whether the directory's file system keeps what it holds in memory only. */
export function checkRunDir(directory: string, proc = "/proc"): RunDirWarning[] {
  const { type } = nodeFs.statfsSync(directory);
  if (type === RAMFS_MAGIC) return [];
  if (type !== TMPFS_MAGIC) {
    const message = `${directory} is not on a tmpfs: values reach a disk`;
    return [{ code: "not_tmpfs", message }];
  }
  if (!isSwapOn(proc) || isNoswap(directory, proc)) return [];
  const message = `swap is on: values in ${directory} may reach a disk`;
  return [{ code: "swap_on", message }];
}

function makeDirectory(path: string, mode: number): void {
  try {
    nodeFs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return;
    throw error;
  }
  const fd = nodeFs.openSync(path, nodeFs.constants.O_DIRECTORY | nodeFs.constants.O_NOFOLLOW);
  try {
    nodeFs.fchmodSync(fd, mode);
  } finally {
    nodeFs.closeSync(fd);
  }
}

/** A directory of the daemon's own that only it writes in, and that nobody else can replace. */
function requireSafe(path: string, uid: number): void {
  const stat = nodeFs.lstatSync(path);
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & OTHERS_WRITE) !== 0) {
    throw unsafe(path, stat);
  }
  requireSafeParents(dirname(path), uid);
}

/** Each step as written, and each step of where it leads: a link is only as safe as its owner. */
function requireSafeParents(path: string, uid: number): void {
  for (const start of [path, nodeFs.realpathSync(path)]) {
    for (let step = start; ; step = dirname(step)) {
      const stat = nodeFs.lstatSync(step);
      const isOurs = stat.uid === uid || stat.uid === 0;
      const isOpen = (stat.mode & OTHERS_WRITE) !== 0 && (stat.mode & STICKY) === 0;
      if (!isOurs || (isOpen && !stat.isSymbolicLink())) throw unsafe(step, stat);
      if (step === parse(step).root) break;
    }
  }
}

function firstThatExists(path: string): string {
  return nodeFs.lstatSync(path, { throwIfNoEntry: false }) ? path : firstThatExists(dirname(path));
}

function unsafe(path: string, { uid, mode }: Stats): EnvSetError {
  const shown = (mode & 0o7777).toString(8).padStart(4, "0");
  const message = `${path} is not safe: it belongs to user ${uid} with mode ${shown}`;
  return new EnvSetError("unsafe_directory", message);
}

function isSwapOn(proc: string): boolean {
  return nodeFs.readFileSync(`${proc}/swaps`, "utf8").trim().split("\n").length > 1;
}

/** tmpfs takes `noswap` since Linux 6.4. */
function isNoswap(directory: string, proc: string): boolean {
  const device = nodeFs.statSync(directory).dev;
  const id = `${(device >> 8) & 0xfff}:${(device & 0xff) | ((device >> 12) & 0xfff00)}`;
  return nodeFs
    .readFileSync(`${proc}/self/mountinfo`, "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .some((fields) => fields[2] === id && fields.at(-1)?.split(",").includes("noswap"));
}
