import { randomBytes, randomUUID } from "node:crypto";
import {
  closeSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { sensitive, type Sensitive } from "../../../lib/sensitive";

const KEY_BYTES = 32;

/** One key-encryption key of the file. */
export interface KeyringKey {
  id: string;
  key: Sensitive<Buffer>;
}

/** Keys for a local key provider, oldest first. */
export interface Keyring {
  /** As it was read last. */
  known(): readonly KeyringKey[];
  /** As it is now; throws when it cannot be read, or is damaged. */
  read(): readonly KeyringKey[];
  /** Adds a random key as the newest. Durable when it returns; one at a time, the caller sees to it. */
  add(): void;
}

interface KeyringFile {
  version: number;
  keys: { id: string; key: string }[];
}

const VERSION = 1;

/** The keyring in a file that is there; all processes that open it share it. */
export function openKeyring(file: string): Keyring {
  let keys = readKeyring(file);
  return {
    known: () => keys,
    read: () => (keys = readKeyring(file)),
    add() {
      const all = [...readKeyring(file), newKey()];
      writeKeyring(file, all, renameSync);
      keys = all;
    },
  };
}

/** A keyring of this process alone. */
export function keyringOf(...keys: KeyringKey[]): Keyring {
  const all = [...keys];
  return { known: () => all, read: () => all, add: () => void all.push(newKey()) };
}

/** Reads a keyring, oldest key first; throws when others may read the file or it is damaged. */
export function readKeyring(file: string): KeyringKey[] {
  const descriptor = openSync(file, "r");
  try {
    const { mode, uid } = fstatSync(descriptor);
    if ((mode & 0o077) !== 0) throw new Error(`${file} may be read by others: chmod 600 it`);
    if (process.getuid && uid !== process.getuid())
      throw new Error(`${file} belongs to another user`);
    return parseKeyring(file, readFileSync(descriptor, "utf8"));
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Makes a keyring with one random key, unless the file is there: then it is left as it is, also
 * when several processes try at once.
 */
export function createKeyring(file: string): void {
  writeKeyring(file, [newKey()], (from, to) => {
    linkUnlessThere(from, to);
    unlinkSync(from);
  });
}

function newKey(): KeyringKey {
  return { id: randomUUID(), key: sensitive(randomBytes(KEY_BYTES)) };
}

/** The file is whole and durable before `give` gives it its name. */
function writeKeyring(
  file: string,
  all: readonly KeyringKey[],
  give: (temporary: string, file: string) => void,
): void {
  const keys = all.map(({ id, key }) => ({ id, key: key.expose().toString("base64") }));
  const content: KeyringFile = { version: VERSION, keys };
  const temporary = `${file}.${randomUUID()}.new`;
  const descriptor = openSync(temporary, "wx", 0o600);
  try {
    fchmodSync(descriptor, 0o600); // Whatever the umask says.
    writeFileSync(descriptor, `${JSON.stringify(content)}\n`);
    fsyncSync(descriptor);
    give(temporary, file);
    fsyncDirectory(dirname(file));
  } finally {
    closeSync(descriptor);
    rmSync(temporary, { force: true });
  }
}

/** A link never replaces a file, unlike a rename. */
function linkUnlessThere(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function fsyncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function parseKeyring(file: string, text: string): KeyringKey[] {
  const { version, keys } = parseJson(file, text);
  if (version !== VERSION || !Array.isArray(keys) || keys.length === 0) throw damaged(file);
  return keys.map(({ id, key }) => {
    const bytes = Buffer.from(key, "base64");
    if (typeof id !== "string" || id === "" || bytes.length !== KEY_BYTES) throw damaged(file);
    return { id, key: sensitive(bytes) };
  });
}

function parseJson(file: string, text: string): KeyringFile {
  try {
    return JSON.parse(text) as KeyringFile;
  } catch {
    throw damaged(file); // Its own message would quote the content.
  }
}

function damaged(file: string): Error {
  return new Error(`${file} is not a keyring`);
}
