import type * as fs from "node:fs";

/**
 * The synchronous calls of node:fs that env-set makes, as a dependency: tests count them, fail
 * them one by one, or stop the world at each. Synchronous because a swap of small files on tmpfs
 * is 1.6 to 8 times faster so than through promises.
 */
export type SyncFs = Pick<
  typeof fs,
  | "openSync"
  | "closeSync"
  | "writeSync"
  | "readSync"
  | "fstatSync"
  | "lstatSync"
  | "fchownSync"
  | "fchmodSync"
  | "mkdirSync"
  | "readdirSync"
  | "readlinkSync"
  | "symlinkSync"
  | "renameSync"
  | "unlinkSync"
  | "rmdirSync"
  | "statfsSync"
>;

/** The user and group that files or directories are to have. */
export interface Owner {
  uid: number;
  gid: number;
}
