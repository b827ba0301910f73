import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "./errno";
import { readProcFile } from "./proc";

/** One control group (version 2): the only container of processes that none of them can leave. */
export interface Cgroup {
  /** Absolute, below the mount of the cgroup file system. */
  path: string;
  /** As /proc/PID/cgroup names it. */
  name: string;
}

const STALE_MS = 60_000;

/**
 * The control group below which this process may make its own: beneath the one that it runs in
 * (systemd: `Delegate=yes`; a root process: any). Undefined where there is no version 2 hierarchy,
 * or it is not ours to write, or has no `cgroup.kill` (kernels below 5.14).
 */
export function findCgroupParent(): Cgroup | undefined {
  const mount = findMount();
  const own = readCgroupName("self");
  if (mount === undefined || own === undefined) return undefined;
  const parent = { path: join(mount, own), name: own };
  const probe = childCgroup(parent, `murmur-probe-${process.pid}`);
  try {
    mkdirSync(probe.path);
    const isUsable = readdirSync(probe.path).includes("cgroup.kill");
    rmdirSync(probe.path);
    return isUsable ? parent : undefined;
  } catch {
    // Read-only, not delegated, or at its limit: the caller does without control groups.
    return undefined;
  }
}

export function childCgroup(parent: Cgroup, child: string): Cgroup {
  return { path: join(parent.path, child), name: join(parent.name, child) };
}

/** Makes the group and its parents; one that exists already is taken as it is. */
export function makeCgroup(cgroup: Cgroup): void {
  mkdirSync(cgroup.path, { recursive: true });
}

/** The pids in the group and in the groups below it; empty when it does not exist. */
export function listCgroup(cgroup: Cgroup): number[] {
  return listTree(cgroup.path).flatMap((path) =>
    readOr(join(path, "cgroup.procs"), "").split("\n").filter(Boolean).map(Number),
  );
}

/** SIGKILL for everything in the group and below, forks under way included, in one step. */
export function killCgroup(cgroup: Cgroup): void {
  try {
    writeFileSync(join(cgroup.path, "cgroup.kill"), "1");
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Removes the group and those below it; false while a process is still in one of them. */
export function removeCgroup(cgroup: Cgroup): boolean {
  try {
    for (const path of listTree(cgroup.path).reverse()) rmdirSync(path);
    return true;
  } catch (error) {
    return isMissing(error);
  }
}

/**
 * Removes the groups directly below `parent` whose name begins with `prefix`, that hold no process
 * and are older than a minute: what daemons left that did not live to remove them. A younger one
 * may be about to be entered.
 */
export function removeStaleCgroups(parent: Cgroup, prefix: string, now: Date): void {
  for (const name of readdirSync(parent.path).filter((each) => each.startsWith(prefix))) {
    const cgroup = childCgroup(parent, name);
    const madeAt = statSync(cgroup.path, { throwIfNoEntry: false })?.ctimeMs;
    if (madeAt !== undefined && now.getTime() - madeAt > STALE_MS) removeCgroup(cgroup);
  }
}

/** The version 2 group of a process, as a name; undefined when it is gone. */
export function readCgroupName(pid: number | "self"): string | undefined {
  const lines = pid === "self" ? readOr("/proc/self/cgroup", "") : readProcFile(pid, "cgroup");
  return lines?.match(/^0::(\/.*)$/m)?.[1];
}

/** Whether `name` is the group itself or one below it. */
export function isInCgroup(name: string, cgroup: Cgroup): boolean {
  return name === cgroup.name || name.startsWith(`${cgroup.name}/`);
}

function findMount(): string | undefined {
  return readOr("/proc/self/mountinfo", "").match(/^\S+ \S+ \S+ \/ (\S+) .* - cgroup2 /m)?.[1];
}

/** The directory and all below it, parents first. */
function listTree(path: string): string[] {
  try {
    const children = readdirSync(path, { withFileTypes: true }).filter((it) => it.isDirectory());
    return [path, ...children.flatMap((child) => listTree(join(path, child.name)))];
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function readOr(path: string, missing: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return missing;
  }
}

function isMissing(error: unknown): boolean {
  const code = errnoOf(error);
  return code === "ENOENT" || code === "ENODEV";
}
