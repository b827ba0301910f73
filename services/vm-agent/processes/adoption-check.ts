import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type AppError, failedPrecondition } from "../../../lib/errors";
import {
  isLiving,
  type ProcessIdentity,
  type ProcessInfo,
  readProcess,
  readProcessTable,
} from "../linux/proc";
import { ageMsOf, readStatus } from "../linux/process-facts";
import { type AdoptRequest, type TakenProcess } from "./adoption";
import { type AgentUser } from "./agent";
import { findMembers, type ProcessTable } from "./tree";

/** By how much the clocks of service and machine may differ, and a little. */
const CLOCKS_MS = 10_000;
const MAX_DEPTH = 10_000;

/**
 * The process that may be adopted. Throws PROCESS_NOT_ADOPTABLE, in words, for one that is not there,
 * is not the one that was meant, is another user's or the kernel's, is the daemon or what runs it or
 * what it runs, or has an agent's process in its tree. All that was looked at was about the process
 * that is returned, whoever has its pid later.
 */
export function checkAdoption(
  request: AdoptRequest,
  user: AgentUser,
  taken: readonly TakenProcess[],
): ProcessInfo {
  const { pid } = request;
  const info = readProcess(pid);
  const fault = info
    ? (identityFault(request, info) ?? rightsFault(pid, user) ?? treeFault(info, taken))
    : undefined;
  const after = readProcess(pid);
  if (!info) throw notAdoptable(pid, `there is no process ${pid}`);
  if (after?.startTime !== info.startTime || !isLiving(after))
    throw notAdoptable(pid, `process ${pid} has ended`);
  if (fault !== undefined) throw notAdoptable(pid, fault);
  return info;
}

function notAdoptable(pid: number, message: string): AppError {
  const reason = ErrorReason.ERROR_REASON_PROCESS_NOT_ADOPTABLE;
  return failedPrecondition(reason, message, { pid: String(pid) });
}

/** Whether it is the one that was meant. */
function identityFault(
  { pid, startTicks, askedMsAgo }: AdoptRequest,
  info: ProcessInfo,
): string | undefined {
  if (startTicks !== 0 && startTicks !== info.startTime)
    return `process ${pid} is another one than was meant: it has got the pid since`;
  if (ageMsOf(info) + CLOCKS_MS < askedMsAgo)
    return `process ${pid} began after its adoption was asked for: it is another one than was meant`;
  return undefined;
}

/** A process that can change its user could do with an agent's rights what its user cannot. */
function rightsFault(pid: number, user: AgentUser): string | undefined {
  const status = readStatus(pid);
  if (!status) return undefined; // Gone, which the caller finds.
  if (pid === 1) return "process 1 runs the machine";
  if (!status.hasMemory) return `process ${pid} is a part of the kernel`;
  if (status.uids.length > 0 && status.uids.every((uid) => uid === user.uid)) return undefined;
  return `process ${pid} does not run as the user of this VM's agents (uid ${user.uid})`;
}

/** An agent is killed with its tree, so nobody else's process may be in there. */
function treeFault(info: ProcessInfo, taken: readonly TakenProcess[]): string | undefined {
  const table = readProcessTable();
  const { pid } = info;
  const self = table.get(process.pid);
  if (pid === process.pid) return `process ${pid} is this VM's daemon`;
  if (isBelow(table, self, info)) return `process ${pid} runs this VM's daemon`;
  if (isBelow(table, info, self)) return `process ${pid} is a part of this VM's daemon`;
  const owners = new Map(taken.map((each) => [nameOf(each), each.by]));
  for (const member of [info, ...findMembers(table, { envDir: "", uid: -1, main: info })]) {
    const owner = owners.get(nameOf(member));
    if (!owner) continue;
    const whose =
      owner === "agent" ? "belongs to an agent already" : "is a part of this VM's daemon";
    return member.pid === pid
      ? `process ${pid} ${whose}`
      : `process ${member.pid} below process ${pid} ${whose}`;
  }
  return undefined;
}

/** Whether `ancestor` is above `info` in the chain of parents. */
function isBelow(
  table: ProcessTable,
  info: ProcessInfo | undefined,
  ancestor: ProcessInfo | undefined,
): boolean {
  if (!info || !ancestor) return false;
  let current = table.get(info.parentPid);
  for (let depth = 0; current && depth < MAX_DEPTH; depth++) {
    if (current.pid === ancestor.pid) return current.startTime === ancestor.startTime;
    current = current.pid > 1 ? table.get(current.parentPid) : undefined;
  }
  return false;
}

function nameOf({ pid, startTime }: ProcessIdentity): string {
  return `${pid}@${startTime}`;
}
