import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../linux/errno";
import {
  createFile,
  requireOwnDirectory,
  syncDirectory,
  writeAndClose,
} from "../processes/small-file";

/** The Ed25519 key by which this machine is known, for as long as its file lasts. */
export interface IdentityKey {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

const FILE = "identity.key";
const MAX_BYTES = 4096;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/**
 * Loads the machine's identity key, or makes it: once, 0600, and durable before it is used. Throws
 * when the file is not whole, or when anyone but the daemon's user could have read or put it there:
 * a key is never silently replaced.
 */
export function openIdentityKey(directory: string): IdentityKey {
  requireOwnDirectory(directory);
  const path = join(directory, FILE);
  return tryLoad(path) ?? makeKey(directory, path);
}

/**
 * The file appears whole or not at all: it is written under another name and then linked, which
 * fails, unlike a rename, when another process was faster. That one's key is taken.
 */
function makeKey(directory: string, path: string): IdentityKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const temporary = join(directory, `.${FILE}.${randomBytes(8).toString("hex")}`);
  writeAndClose(createFile(temporary), JSON.stringify(privateKey.export({ format: "jwk" })));
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  } finally {
    unlinkSync(temporary);
  }
  syncDirectory(directory);
  const kept = tryLoad(path);
  if (!kept) throw new Error(`${path} went away while it was made`);
  return kept.publicKey.equals(publicKey) ? { privateKey, publicKey } : kept;
}

function tryLoad(path: string): IdentityKey | undefined {
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw new Error(`cannot open the identity key ${path}`, { cause: error });
  }
  try {
    const stat = fstatSync(fd);
    const isOurs = stat.isFile() && stat.uid === process.geteuid?.();
    if (!isOurs || (stat.mode & 0o077) !== 0 || stat.size > MAX_BYTES)
      throw new Error(`${path} must be a small file of mode 0600 that the daemon's user owns`);
    return parse(path, readFileSync(fd, "utf8"));
  } finally {
    closeSync(fd);
  }
}

function parse(path: string, text: string): IdentityKey {
  try {
    const { kty, crv, x, d } = JSON.parse(text) as Record<string, string>;
    if (kty !== "OKP" || crv !== "Ed25519" || !x || !d) throw new Error("not an Ed25519 key");
    const privateKey = createPrivateKey({ key: { kty, crv, x, d }, format: "jwk" });
    return { privateKey, publicKey: createPublicKey(privateKey) };
  } catch {
    // Without the cause, which may quote the text.
    throw new Error(`${path} holds no private Ed25519 key`);
  }
}
