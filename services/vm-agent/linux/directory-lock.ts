import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type SystemCalls } from "./system-calls";

/** Another daemon works with the same directory; starting a second one would be a mistake. */
export class DirectoryInUse extends Error {
  constructor(
    readonly directory: string,
    /** As the holder wrote it: for people, not for signals. */
    readonly holderPid: string,
  ) {
    super(`another vm-agent${holderPid && ` (pid ${holderPid})`} works with ${directory}`);
    this.name = "DirectoryInUse";
  }
}

/** Held until released, or until this process ends in whatever way. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Makes this process the only daemon of a directory, which must exist and be writable by the
 * daemon's user only. Throws DirectoryInUse at once when another has it. The lock is the kernel's:
 * nothing is left to clean up after a kill, and the file `lock` stays on purpose (removing it would
 * let two daemons lock two files of one name).
 */
export function lockDirectory(
  systemCalls: Pick<SystemCalls, "tryLock">,
  directory: string,
): DirectoryLock {
  const path = join(directory, "lock");
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const fd = openSync(path, flags, 0o600);
  let isHeld = false;
  try {
    isHeld = systemCalls.tryLock(fd);
    if (!isHeld) throw new DirectoryInUse(directory, readFileSync(fd, "utf8").trim().slice(0, 20));
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`);
  } finally {
    if (!isHeld) closeSync(fd);
  }
  return {
    release() {
      if (isHeld) closeSync(fd);
      isHeld = false;
    },
  };
}
