import { closeSync, readFileSync } from "node:fs";
import { isAlive, type ProcessIdentity, readProcess } from "./proc";
import { type SystemCalls } from "./system-calls";

/** The process at the other end of a unix socket: the one that connected. */
export interface Peer extends ProcessIdentity {
  uid: number;
  gid: number;
  /**
   * Whether the process that connected still runs under this pid; one that has ended is gone, also
   * before its parent has taken note. Ask it again after reading anything about the pid: only what
   * was read before a `true` was about the peer.
   */
  isStillThere(): boolean;
  /** Closes what holds the process in mind. Call it when the connection ends. */
  release(): void;
}

/**
 * Who connected the accepted socket `fd`, by the kernel's word. Undefined when that process is gone
 * already, or lives outside this pid namespace.
 *
 * Between the connect and this call the process may have ended and its pid gone to another. Where
 * the kernel gives a pidfd of the peer (6.5), that is noticed for certain, and so is an end at any
 * later moment. Below, the start time tells every end from this call on; a pid that went
 * round the whole range while the connection waited in the backlog would pass.
 */
export function readPeer(
  systemCalls: Pick<SystemCalls, "peerCredentials" | "peerPidFd">,
  fd: number,
): Peer | undefined {
  const { pid, uid, gid } = systemCalls.peerCredentials(fd);
  if (pid <= 0) return undefined;
  let pidFd: number | undefined;
  try {
    pidFd = systemCalls.peerPidFd(fd);
  } catch {
    return undefined;
  }
  const startTime = readProcess(pid)?.startTime;
  const peer = watchPeer({ pid, startTime: startTime ?? -1, uid, gid }, pidFd);
  if (peer.isStillThere()) return peer;
  peer.release();
  return undefined;
}

function watchPeer(
  who: ProcessIdentity & { uid: number; gid: number },
  pidFd: number | undefined,
): Peer {
  let isOpen = pidFd !== undefined;
  return {
    ...who,
    isStillThere() {
      if (!isAlive(who)) return false;
      return pidFd === undefined || (isOpen && readPidOf(pidFd) === who.pid);
    },
    release() {
      if (isOpen && pidFd !== undefined) closeSync(pidFd);
      isOpen = false;
    },
  };
}

/** The pid that a pidfd means now: -1 once the process has been reaped. */
function readPidOf(pidFd: number): number {
  const text = readFileSync(`/proc/self/fdinfo/${pidFd}`, "utf8");
  return Number(text.match(/^Pid:\s*(-?\d+)$/m)?.[1] ?? -1);
}
