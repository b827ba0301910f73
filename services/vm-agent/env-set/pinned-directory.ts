import { constants, type Stats } from "node:fs";
import { EnvSetError, errnoOf } from "./env-set-error";
import { type Owner, type SyncFs } from "./sync-fs";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
const CREATE_FILE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
const READ_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
const OTHERS_WRITE = 0o022;

/** What a directory needs to work. */
export interface DirectoryIo {
  fs: SyncFs;
  /** The process's umask, which must not change while this is in use. */
  umask: number;
  /** Where this process's descriptors are paths: `/proc/PID/fd`. */
  descriptors: string;
}

/**
 * An open directory, and all work in it through its descriptor (`/proc/PID/fd/N/name`, what
 * openat does elsewhere). Who renames or replaces a directory above it by a link moves nothing:
 * O_NOFOLLOW alone guards the last component only.
 */
export class PinnedDirectory {
  readonly #io: DirectoryIo;
  readonly #fs: SyncFs;
  readonly #fd: number;
  readonly #self: string;
  /** For messages. */
  readonly label: string;

  private constructor(io: DirectoryIo, fd: number, label: string) {
    this.#io = io;
    this.#fs = io.fs;
    this.#fd = fd;
    this.#self = `${io.descriptors}/${fd}/`;
    this.label = label;
  }

  /** Opens `path` until `close`. Its last component may not be a link. */
  static open(io: DirectoryIo, path: string): PinnedDirectory {
    return new PinnedDirectory(io, io.fs.openSync(path, OPEN_DIRECTORY), path);
  }

  /** Never fails: nothing was written through this descriptor that a failure could have lost. */
  close(): void {
    try {
      this.#fs.closeSync(this.#fd);
    } catch {
      // Linux gives the descriptor back whatever close answers.
    }
  }

  /** Opens the directory `name` in here for the time of `use`; a link is refused. */
  useChild<T>(name: string, use: (directory: PinnedDirectory) => T): T {
    const fd = this.#fs.openSync(this.#at(name), OPEN_DIRECTORY);
    const child = new PinnedDirectory(this.#io, fd, `${this.label}/${name}`);
    try {
      return use(child);
    } finally {
      child.close();
    }
  }

  /** Refuses a directory that is not `uid`'s or that others may write in. */
  requireOwnedBy(uid: number): Stats {
    const stat = this.stat();
    if (stat.uid === uid && (stat.mode & OTHERS_WRITE) === 0) return stat;
    throw new EnvSetError(
      "unsafe_directory",
      `${this.label} belongs to user ${stat.uid} with mode ${modeOf(stat)}`,
    );
  }

  stat(): Stats {
    return this.#fs.fstatSync(this.#fd);
  }

  /** What stands under `name`, itself and not where it leads; undefined for nothing. */
  kindOf(name: string): "file" | "directory" | "link" | "other" | undefined {
    const stat = this.statOf(name);
    if (!stat) return undefined;
    if (stat.isSymbolicLink()) return "link";
    if (stat.isDirectory()) return "directory";
    return stat.isFile() ? "file" : "other";
  }

  /** Of `name` itself and not where it leads; undefined for nothing. */
  statOf(name: string): Stats | undefined {
    return this.#fs.lstatSync(this.#at(name), { throwIfNoEntry: false });
  }

  /** Gives this directory its owner, then its mode; created narrow, it only ever gets wider. */
  admit(owner: Owner | undefined, mode: number): void {
    if (owner) this.#fs.fchownSync(this.#fd, owner.uid, owner.gid);
    this.#fs.fchmodSync(this.#fd, mode);
  }

  makeDirectory(name: string): void {
    this.#fs.mkdirSync(this.#at(name), 0o700);
  }

  /**
   * Creates a file that was not there, whole: with at most its mode from the start, since a umask
   * only takes away, then its owner, then what the umask took (a call for each file costs a tenth
   * of a swap, so only where it took any).
   */
  createFile(name: string, content: Uint8Array, mode: number, owner?: Owner): void {
    const fd = this.#fs.openSync(this.#at(name), CREATE_FILE, mode);
    try {
      this.#writeAll(fd, content);
      if (owner) this.#fs.fchownSync(fd, owner.uid, owner.gid);
      if ((mode & this.#io.umask) !== 0) this.#fs.fchmodSync(fd, mode);
    } finally {
      this.#fs.closeSync(fd);
    }
  }

  /** Creates a file that was not there, of zeros that take no room. */
  createSparse(
    name: string,
    file: { bytes: number; mode: number; owner?: Owner | undefined },
  ): void {
    const fd = this.#fs.openSync(this.#at(name), CREATE_FILE, file.mode);
    try {
      this.#fs.writeSync(fd, Buffer.alloc(1), 0, 1, file.bytes - 1);
      if (file.owner) this.#fs.fchownSync(fd, file.owner.uid, file.owner.gid);
      this.#fs.fchmodSync(fd, file.mode);
    } finally {
      this.#fs.closeSync(fd);
    }
  }

  /** Overwrites the first bytes of an existing regular file in place. */
  overwrite(name: string, content: Uint8Array): void {
    const fd = this.#fs.openSync(this.#at(name), O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      this.#writeAll(fd, content);
    } finally {
      this.#fs.closeSync(fd);
    }
  }

  /** A regular file of at most `maxBytes`, with its owner and mode; nothing else is read. */
  readFile(name: string, maxBytes: number): { content: Buffer; stat: Stats } {
    const fd = this.#fs.openSync(this.#at(name), READ_FILE);
    try {
      const stat = this.#fs.fstatSync(fd);
      if (!stat.isFile() || stat.size > maxBytes) {
        throw new EnvSetError("damaged", `${this.label}/${name} is not a file of ours`);
      }
      const content = Buffer.allocUnsafeSlow(stat.size);
      return { content: content.subarray(0, this.#readAll(fd, content)), stat };
    } finally {
      this.#fs.closeSync(fd);
    }
  }

  /** As `readFile`, or undefined when there is nothing of that name that it would read. */
  tryReadFile(name: string, maxBytes: number): { content: Buffer; stat: Stats } | undefined {
    if (this.kindOf(name) !== "file") return undefined;
    try {
      return this.readFile(name, maxBytes);
    } catch (error) {
      if (isUnreadable(error)) return undefined;
      throw error;
    }
  }

  /** All names in here. */
  list(): string[] {
    return this.#fs.readdirSync(this.#self);
  }

  /** What the link `name` says, or undefined when there is none or it is no link. */
  readLink(name: string): string | undefined {
    try {
      return this.#fs.readlinkSync(this.#at(name));
    } catch (error) {
      if (["ENOENT", "EINVAL"].includes(errnoOf(error))) return undefined;
      throw error;
    }
  }

  makeLink(name: string, target: string): void {
    this.#fs.symlinkSync(target, this.#at(name));
  }

  /** Renames over what stands under `to`. A directory there is none of ours and gives way. */
  rename(from: string, to: string): void {
    try {
      this.#fs.renameSync(this.#at(from), this.#at(to));
    } catch (error) {
      if (errnoOf(error) !== "EISDIR") throw error;
      this.removeTree(to);
      this.#fs.renameSync(this.#at(from), this.#at(to));
    }
  }

  /** Removes `name` and all below it, following no link. No error when it is not there. */
  removeTree(name: string): void {
    try {
      if (this.kindOf(name) !== "directory") {
        this.#fs.unlinkSync(this.#at(name));
        return;
      }
      this.useChild(name, (child) => {
        for (const inner of child.list()) child.removeTree(inner);
      });
      this.#fs.rmdirSync(this.#at(name));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  /** Bytes that may still be written here by an ordinary user. */
  freeBytes(): number {
    const { bavail, bsize } = this.#fs.statfsSync(this.#self);
    return bavail * bsize;
  }

  #at(name: string): string {
    if (name === "" || name === "." || name === ".." || name.includes("/")) {
      throw new EnvSetError("bad_set", `bad file name ${JSON.stringify(name)}`);
    }
    return this.#self + name;
  }

  #writeAll(fd: number, content: Uint8Array): void {
    for (let done = 0; done < content.length;) {
      const written = this.#fs.writeSync(fd, content, done, content.length - done);
      if (written <= 0) throw new EnvSetError("io", `${this.label}: nothing was written`);
      done += written;
    }
  }

  #readAll(fd: number, into: Buffer): number {
    let done = 0;
    while (done < into.length) {
      const read = this.#fs.readSync(fd, into, done, into.length - done, done);
      if (read === 0) break;
      done += read;
    }
    return done;
  }
}

function modeOf(stat: Stats): string {
  return (stat.mode & 0o7777).toString(8).padStart(4, "0");
}

/** Too large, turned into something else meanwhile, or of a mode without reading. */
function isUnreadable(error: unknown): boolean {
  if (error instanceof EnvSetError) return error.fault === "damaged";
  return ["ELOOP", "EACCES", "ENXIO", "ENOENT"].includes(errnoOf(error));
}
