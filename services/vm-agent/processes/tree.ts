import { type Cgroup, isInCgroup, listCgroup, readCgroupName } from "../linux/cgroup";
import {
  isLiving,
  type ProcessIdentity,
  type ProcessInfo,
  readProcess,
  readUid,
  wasStartedWith,
} from "../linux/proc";

/** What tells an agent's processes from all others. */
export interface TreeRoots {
  envDir: string;
  uid: number;
  /** The agent's first process, the leader of its session; absent before it has started. */
  main?: ProcessIdentity;
  /** The shim: parent of `main`, but no process of the agent, nor are its own small helpers. */
  shim?: ProcessIdentity;
  cgroup?: Cgroup;
  /**
   * Processes that were found to be the agent's earlier, and may have left parent and session
   * since.
   */
  known?: readonly ProcessIdentity[];
}

/** The living processes of a tree, as far as they can be told at one moment. */
export interface TreeLook {
  members: ProcessInfo[];
  /** False: there is somebody of whom it cannot be told at this moment. */
  isSure: boolean;
}

export type ProcessTable = ReadonlyMap<number, ProcessInfo>;

/**
 * The living processes of an agent, by the kernel's word alone: its control group, its session, and
 * everything below its first process or a known one.
 */
export function findMembers(table: ProcessTable, roots: TreeRoots): ProcessInfo[] {
  const seeds = anchorsOf(roots).map((each) => find(table, each));
  const grouped = roots.cgroup ? listCgroup(roots.cgroup).map((pid) => table.get(pid)) : [];
  return close(table, roots, [...seeds, ...grouped, ...findSession(table, roots.main)]);
}

/**
 * The same, and processes that were started with the agent's `MURMUR_DIR` in their environment: the
 * only trace of one that took a new session and lost its parent where there are no control groups.
 * A process chooses its environment, so this is for ending what is left, never for giving rights:
 * at worst a process that claims to be the agent's is ended with it. Others' users are left alone.
 * Not sure: one of the user's processes has no environment at this moment, and may be the agent's.
 */
export function findMembersByMarker(table: ProcessTable, roots: TreeRoots): TreeLook {
  const marker = `MURMUR_DIR=${roots.envDir}`;
  const others = [...table.values()].filter(({ pid }) => pid !== process.pid);
  const marked: ProcessInfo[] = [];
  let isSure = true;
  for (const info of others) {
    const isMarked = wasStartedWith(info.pid, marker);
    if (isMarked === false || readUid(info.pid) !== roots.uid) continue;
    if (isMarked) marked.push(info);
    // While the leader of its session lives, that one tells: one of the agent's is a member.
    else if (info.session === info.pid || !table.has(info.session)) isSure = false;
  }
  return { members: close(table, roots, [...marked, ...findMembers(table, roots)]), isSure };
}

/**
 * Whether a process belongs to one of these agents, and to which: by control group, then by its
 * chain of parents, then by its session; never by anything that a process can say of itself. The
 * caller makes sure that the pid still means the same process afterwards.
 */
export function findOwner<Agent extends TreeRoots>(
  identity: ProcessIdentity,
  agents: readonly Agent[],
): Agent | undefined {
  const info = readProcess(identity.pid);
  if (info?.startTime !== identity.startTime) return undefined;
  const group = readCgroupName(identity.pid);
  const byGroup = agents.find(
    ({ cgroup }) => cgroup && group !== undefined && isInCgroup(group, cgroup),
  );
  return byGroup ?? findByParents(info, agents) ?? findBySession(info, agents);
}

const MAX_DEPTH = 10_000;

function findByParents<Agent extends TreeRoots>(
  start: ProcessInfo,
  agents: readonly Agent[],
): Agent | undefined {
  let current: ProcessInfo | undefined = start;
  for (let depth = 0; current && current.pid > 1 && depth < MAX_DEPTH; depth++) {
    const { pid, startTime, parentPid }: ProcessInfo = current;
    const owner = agents.find((agent) =>
      anchorsOf(agent).some((anchor) => anchor.pid === pid && anchor.startTime === startTime),
    );
    if (owner) return owner;
    const parent = readProcess(parentPid);
    // A parent is never younger than its child: such a one has taken the pid of the true parent.
    current = parent && parent.startTime <= startTime ? parent : undefined;
  }
  return undefined;
}

function findBySession<Agent extends TreeRoots>(
  { session }: ProcessInfo,
  agents: readonly Agent[],
): Agent | undefined {
  return agents.find(({ main }) => {
    if (main?.pid !== session) return false;
    const leader = readProcess(main.pid);
    return leader?.startTime === main.startTime && leader.session === main.pid;
  });
}

/**
 * Processes in the session that `main` leads. The number of a session is not handed out again while
 * a process is in it, so the session is another one only if its leader is.
 */
function findSession(table: ProcessTable, main: ProcessIdentity | undefined): ProcessInfo[] {
  if (!main) return [];
  const leader = table.get(main.pid);
  if (leader && leader.startTime !== main.startTime) return [];
  return [...table.values()].filter(
    ({ session, startTime }) => session === main.pid && startTime >= main.startTime,
  );
}

/** The seeds and all their descendants, without zombies, the daemon, and the shim's own part. */
function close(
  table: ProcessTable,
  { shim, main }: TreeRoots,
  seeds: readonly (ProcessInfo | undefined)[],
): ProcessInfo[] {
  const children = byParent(table);
  const shimPid = find(table, shim)?.pid;
  const members = new Map<number, ProcessInfo>();
  const queue = seeds.filter((seed) => seed !== undefined);
  for (let next = queue.pop(); next; next = queue.pop()) {
    const { pid, parentPid } = next;
    const isShims = shimPid !== undefined && (pid === shimPid || parentPid === shimPid);
    if (members.has(pid) || pid === process.pid || (isShims && pid !== main?.pid)) continue;
    members.set(pid, next);
    queue.push(...childrenOf(children, next));
  }
  return [...members.values()].filter(isLiving);
}

function anchorsOf({ main, known = [] }: TreeRoots): readonly ProcessIdentity[] {
  return main ? [main, ...known] : known;
}

function find(table: ProcessTable, identity?: ProcessIdentity): ProcessInfo | undefined {
  const info = identity && table.get(identity.pid);
  return info?.startTime === identity?.startTime ? info : undefined;
}

function byParent(table: ProcessTable): Map<number, ProcessInfo[]> {
  const children = new Map<number, ProcessInfo[]>();
  for (const info of table.values()) {
    const siblings = children.get(info.parentPid);
    if (siblings) siblings.push(info);
    else children.set(info.parentPid, [info]);
  }
  return children;
}

function childrenOf(
  children: ReadonlyMap<number, ProcessInfo[]>,
  parent: ProcessInfo,
): ProcessInfo[] {
  return (children.get(parent.pid) ?? []).filter((child) => child.startTime >= parent.startTime);
}
