import { randomBytes, randomUUID } from "node:crypto";
import {
  closeSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { sensitive, type Sensitive } from "../../../lib/sensitive";

const KEY_BYTES = 32;

/** One key-encryption key of the file. */
export interface KeyringKey {
  id: string;
  key: Sensitive<Buffer>;
}

interface KeyringFile {
  version: number;
  keys: { id: string; key: string }[];
}

const VERSION = 1;

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
 * when several processes try at once. The file is whole and durable before it has its name.
 */
export function createKeyring(file: string): void {
  const keys = [{ id: randomUUID(), key: randomBytes(KEY_BYTES).toString("base64") }];
  const content: KeyringFile = { version: VERSION, keys };
  const temporary = `${file}.${randomUUID()}.new`;
  const descriptor = openSync(temporary, "wx", 0o600);
  try {
    fchmodSync(descriptor, 0o600); // Whatever the umask says.
    writeSync(descriptor, `${JSON.stringify(content)}\n`);
    fsyncSync(descriptor);
    linkUnlessThere(temporary, file);
    fsyncDirectory(dirname(file));
  } finally {
    closeSync(descriptor);
    unlinkSync(temporary);
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
