import { type Clock } from "../../../lib/clock";
import { type Cgroup, killCgroup, removeCgroup } from "../linux/cgroup";
import { isAlive, type ProcessIdentity, type ProcessInfo } from "../linux/proc";
import { type TreeLook } from "./tree";

export interface EndTreeOptions {
  /** How long the processes may take to end by themselves after SIGTERM. */
  graceMs: number;
  /** How long they may take to vanish after SIGKILL. */
  killMs: number;
}

export interface EndTreeDeps {
  clock: Clock;
  /** At the living processes of the tree, read anew at each call. */
  look: () => TreeLook;
  cgroup?: Cgroup;
}

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;
const GROUP_MS = 1_000;
const GROUP_PAUSE_MS = 5;

/**
 * Ends every process of a tree: SIGTERM once to each, then SIGKILL, again and again, since a
 * process may fork between being found and being hit. Resolves with those that are still there
 * when the time is up (stuck in the kernel, or not ours to signal): none, normally.
 */
export async function endTree(deps: EndTreeDeps, options: EndTreeOptions): Promise<ProcessInfo[]> {
  const told = new Set<string>();
  const left = await repeat(deps, options.graceMs, (members) => {
    for (const member of members) {
      if (told.has(nameOf(member))) continue;
      told.add(nameOf(member));
      signal(member, "SIGTERM");
      // A stopped process takes the signal when it goes on.
      signal(member, "SIGCONT");
    }
  });
  if (isNobody(left)) return [];
  const { members } = await repeat(deps, options.killMs, (found) => {
    if (deps.cgroup) killCgroup(deps.cgroup);
    for (const member of found) signal(member, "SIGKILL");
  });
  return members;
}

/**
 * Removes an empty control group, for which the kernel needs a moment more than its processes to
 * end; false when it could not be removed within a second.
 */
export async function releaseCgroup(cgroup: Cgroup | undefined, clock: Clock): Promise<boolean> {
  const endMs = clock.monotonicMs() + GROUP_MS;
  while (cgroup && !removeCgroup(cgroup)) {
    if (clock.monotonicMs() >= endMs) return false;
    await clock.sleep(GROUP_PAUSE_MS);
  }
  return true;
}

async function repeat(
  { clock, look }: EndTreeDeps,
  limitMs: number,
  act: (members: ProcessInfo[]) => void,
): Promise<TreeLook> {
  const endMs = clock.monotonicMs() + limitMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const seen = look();
    if (isNobody(seen)) return seen;
    act(seen.members);
    const leftMs = endMs - clock.monotonicMs();
    if (leftMs <= 0) return look();
    await clock.sleep(Math.min(pauseMs, leftMs));
  }
}

/** Whether nobody of a tree is left, for certain. */
export function isNobody({ members, isSure }: TreeLook): boolean {
  return members.length === 0 && isSure;
}

function nameOf({ pid, startTime }: ProcessIdentity): string {
  return `${pid}@${startTime}`;
}

function signal(member: ProcessInfo, name: NodeJS.Signals): void {
  if (!isAlive(member)) return;
  try {
    process.kill(member.pid, name);
  } catch {
    // It has just ended (ESRCH), or is not ours to signal (EPERM): the next look tells.
  }
}
