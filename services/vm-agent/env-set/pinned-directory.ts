import { constants, type Stats } from "node:fs";
import { EnvSetError, errnoOf } from "./env-set-error";
import { type Owner, type SyncFs } from "./sync-fs";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
const CREATE_FILE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
const READ_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
const OTHERS_WRITE = 0o022;

/**
 * An open directory, and all work in it through its descriptor (`/proc/self/fd/N/name`, what
 * openat does elsewhere). Who renames or replaces a directory above it by a link moves nothing:
 * O_NOFOLLOW alone guards the last component only.
 */
export class PinnedDirectory {
  readonly #fs: SyncFs;
  readonly #fd: number;
  /** For messages. */
  readonly label: string;

  private constructor(fs: SyncFs, fd: number, label: string) {
    this.#fs = fs;
    this.#fd = fd;
    this.label = label;
  }

  /** Opens `path` for the time of `use`. Its last component may not be a link. */
  static use<T>(fs: SyncFs, path: string, use: (directory: PinnedDirectory) => T): T {
    const directory = new PinnedDirectory(fs, fs.openSync(path, OPEN_DIRECTORY), path);
    return directory.#closeAfter(use);
  }

  /** Opens the directory `name` in here for the time of `use`; a link is refused. */
  useChild<T>(name: string, use: (directory: PinnedDirectory) => T): T {
    const fd = this.#fs.openSync(this.#at(name), OPEN_DIRECTORY);
    return new PinnedDirectory(this.#fs, fd, `${this.label}/${name}`).#closeAfter(use);
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
    const stat = this.#fs.lstatSync(this.#at(name), { throwIfNoEntry: false });
    if (!stat) return undefined;
    if (stat.isSymbolicLink()) return "link";
    if (stat.isDirectory()) return "directory";
    return stat.isFile() ? "file" : "other";
  }

  /** Gives this directory its owner, then its mode; created narrow, it only ever gets wider. */
  admit(owner: Owner | undefined, mode: number): void {
    if (owner) this.#fs.fchownSync(this.#fd, owner.uid, owner.gid);
    this.#fs.fchmodSync(this.#fd, mode);
  }

  makeDirectory(name: string): void {
    this.#fs.mkdirSync(this.#at(name), 0o700);
  }

  /** Creates a file that was not there, whole, with its mode from the start and then its owner. */
  createFile(name: string, content: Uint8Array, mode: number, owner?: Owner): void {
    const fd = this.#fs.openSync(this.#at(name), CREATE_FILE, mode);
    try {
      this.#writeAll(fd, content);
      if (owner) this.#fs.fchownSync(fd, owner.uid, owner.gid);
      this.#fs.fchmodSync(fd, mode);
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

  /** As `readFile`, or undefined when there is no such name. */
  tryReadFile(name: string, maxBytes: number): { content: Buffer; stat: Stats } | undefined {
    return this.kindOf(name) === undefined ? undefined : this.readFile(name, maxBytes);
  }

  /** All names in here. */
  list(): string[] {
    return this.#fs.readdirSync(`/proc/self/fd/${this.#fd}`);
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

  rename(from: string, to: string): void {
    this.#fs.renameSync(this.#at(from), this.#at(to));
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
    const { bavail, bsize } = this.#fs.statfsSync(`/proc/self/fd/${this.#fd}`);
    return bavail * bsize;
  }

  #at(name: string): string {
    if (name === "" || name === "." || name === ".." || name.includes("/")) {
      throw new EnvSetError("bad_set", `bad file name ${JSON.stringify(name)}`);
    }
    return `/proc/self/fd/${this.#fd}/${name}`;
  }

  #closeAfter<T>(use: (directory: PinnedDirectory) => T): T {
    try {
      return use(this);
    } finally {
      this.#fs.closeSync(this.#fd);
    }
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
