import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "../linux/errno";

const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW, O_RDONLY, O_DIRECTORY } = constants;

/** Creates a file, 0600, that must not exist, and opens it for writing. The caller closes it. */
export function createFile(path: string, moreFlags = 0): number {
  return openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | moreFlags, 0o600);
}

/** Writes all of it, durably. */
export function writeAndClose(fd: number, text: string): void {
  try {
    const bytes = Buffer.from(text);
    let written = 0;
    while (written < bytes.length) written += writeSync(fd, bytes, written);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Puts a whole file, 0600, in the place of the old one, durably. */
export function replaceFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  // A daemon that was killed may have left one: in a container its successor has the same pid.
  const flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW;
  writeAndClose(openSync(temporary, flags, 0o600), text);
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

/** Makes the names in a directory durable. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, O_RDONLY | O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The text of a small file in a directory that only we can write; undefined when it is absent. */
export function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Throws unless `path` is a directory, no link, that only this process's user can change. */
export function requireOwnDirectory(path: string): void {
  const stat = lstatSync(path);
  const isOurs = stat.isDirectory() && stat.uid === process.getuid?.();
  if (isOurs && (stat.mode & 0o022) === 0) return;
  throw new Error(`${path} must be a directory that only the daemon's user can change`);
}
