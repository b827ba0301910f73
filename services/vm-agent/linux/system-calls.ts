import { constants } from "node:os";
import { type LibraryHandle } from "koffi";

/** Who connected a unix socket, by the kernel's word, as it was when it connected. */
export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

/** The system calls that Node lacks. Linux only. */
export interface SystemCalls {
  /** SO_PEERCRED of an accepted unix socket. Pid 0: a process outside this pid namespace. */
  peerCredentials(socketFd: number): PeerCredentials;
  /**
   * SO_PEERPIDFD: a descriptor that means the connecting process for ever, whoever has its pid
   * later. The caller closes it. Undefined on kernels below 6.5; throws when the peer has ended.
   */
  peerPidFd(socketFd: number): number | undefined;
  /** flock, exclusive and without waiting: false when another open file holds the lock. */
  tryLock(fd: number): boolean;
  /**
   * Keeps this process's secrets in: not dumpable (no ptrace and no /proc/PID/mem for the same user
   * either), no core files, of what it starts neither, and no descriptor that it was started with
   * is passed on (Linux 5.11).
   */
  seal(): void;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERPIDFD = 77;
const UCRED_BYTES = 12;
const LOCK_EX_NB = 2 | 4;
const PR_SET_DUMPABLE = 4;
const RLIMIT_CORE = 4;
/** The same number on every architecture; older C libraries have no name for it. */
const SYS_CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const FIRST_FD = 3;
const LAST_FD = 0xffff_ffff;

/** Binds the calls; koffi is loaded here, at first use (7 ms), and nowhere else. */
export async function loadSystemCalls(): Promise<SystemCalls> {
  const koffi = (await import("koffi")).default;
  // The C library that Node itself is linked with, whatever its name is on this system.
  const libc = koffi.load(null);
  const failed: Failed = (call) => {
    const errno = koffi.errno();
    return { errno, error: new Error(`${call} failed: errno ${errno}`) };
  };
  return {
    ...bindPeer(libc, failed),
    ...bindLock(libc, failed),
    ...bindInspection(libc, failed),
  };
}

/** Made right after a call failed: its name and errno. */
type Failed = (call: string) => { errno: number; error: Error };

function bindPeer(
  libc: LibraryHandle,
  failed: Failed,
): Pick<SystemCalls, "peerCredentials" | "peerPidFd"> {
  const getsockopt = libc.func(
    "int getsockopt(int fd, int level, int option, _Out_ uint8_t *value, _Inout_ uint32_t *length)",
  );
  const option = (fd: number, name: number, bytes: number): Buffer | undefined => {
    const value = Buffer.alloc(bytes);
    const length = [bytes];
    const result: unknown = getsockopt(fd, SOL_SOCKET, name, value, length);
    return result === 0 && length[0] === bytes ? value : undefined;
  };
  return {
    peerCredentials(socketFd) {
      const value = option(socketFd, SO_PEERCRED, UCRED_BYTES);
      if (!value) throw failed("getsockopt(SO_PEERCRED)").error;
      return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
    },
    peerPidFd(socketFd) {
      const value = option(socketFd, SO_PEERPIDFD, 4);
      if (value) return value.readInt32LE(0);
      const { errno, error } = failed("getsockopt(SO_PEERPIDFD)");
      if (errno === constants.errno.ENOPROTOOPT) return undefined;
      throw error;
    },
  };
}

function bindLock(libc: LibraryHandle, failed: Failed): Pick<SystemCalls, "tryLock"> {
  const flock = libc.func("int flock(int fd, int operation)");
  return {
    tryLock(fd) {
      const result: unknown = flock(fd, LOCK_EX_NB);
      if (result === 0) return true;
      const { errno, error } = failed("flock");
      if (errno === constants.errno.EWOULDBLOCK) return false;
      throw error;
    },
  };
}

function bindInspection(libc: LibraryHandle, failed: Failed): Pick<SystemCalls, "seal"> {
  const prctl = libc.func("int prctl(int option, ulong a, ulong b, ulong c, ulong d)");
  const syscall = libc.func("long syscall(long number, ulong a, ulong b, ulong c)");
  const setrlimit = libc.func("int setrlimit(int resource, const uint8_t *limit)");
  return {
    seal() {
      const closed: unknown = syscall(SYS_CLOSE_RANGE, FIRST_FD, LAST_FD, CLOSE_RANGE_CLOEXEC);
      if (closed !== 0) throwUnlessMissing(failed("close_range"));
      const limited: unknown = setrlimit(RLIMIT_CORE, Buffer.alloc(16));
      if (limited !== 0) throw failed("setrlimit(RLIMIT_CORE)").error;
      const set: unknown = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
      if (set !== 0) throw failed("prctl(PR_SET_DUMPABLE)").error;
    },
  };
}

/** A kernel without the call is one that we can live with. */
function throwUnlessMissing({ errno, error }: ReturnType<Failed>): void {
  if (errno !== constants.errno.ENOSYS) throw error;
}
