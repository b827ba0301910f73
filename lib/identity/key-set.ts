import { createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync, statSync } from "node:fs";

/** A public signing key, and whose it is: a token counts only under a key of its own issuer. */
export interface PublicKey {
  kid: string;
  issuer: string;
  key: KeyObject;
}

/** Public keys by id. Holds old and new keys side by side while signing keys are rolled. */
export interface KeySet {
  find(kid: string): PublicKey | undefined;
  /** Every key of one issuer, old and new. */
  ofIssuer(issuer: string): PublicKey[];
}

const RECHECK_MS = 1_000;

/**
 * Reads a JWK Set (RFC 7517) of Ed25519 keys (RFC 8037), each with `kid` and `iss`. The file is
 * read again when it changes, so keys are rolled without a restart; a file that cannot be read
 * keeps the last good set. Throws when the first read fails.
 */
export function createKeySet(file: string): KeySet {
  let keys = readKeys(file);
  let stamp = stampOf(file);
  let checkedMs = performance.now();
  const current = () => {
    const nowMs = performance.now();
    if (nowMs - checkedMs > RECHECK_MS) {
      checkedMs = nowMs;
      const newStamp = stampOf(file);
      if (newStamp !== undefined && newStamp !== stamp) {
        stamp = newStamp;
        keys = tryReadKeys(file) ?? keys;
      }
    }
    return keys;
  };
  return {
    find: (kid) => current().get(kid),
    ofIssuer: (issuer) => [...current().values()].filter((key) => key.issuer === issuer),
  };
}

/** A fixed key set, for a process that holds the keys already. */
export function keySetOf(keys: readonly PublicKey[]): KeySet {
  const byId = new Map(keys.map((key) => [key.kid, key]));
  return {
    find: (kid) => byId.get(kid),
    ofIssuer: (issuer) => keys.filter((key) => key.issuer === issuer),
  };
}

function stampOf(file: string): string | undefined {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats && `${stats.ino}:${stats.size}:${stats.mtimeMs}`;
}

function tryReadKeys(file: string): Map<string, PublicKey> | undefined {
  try {
    return readKeys(file);
  } catch {
    return undefined; // Half-written or gone: the last good set stays, the next change is tried.
  }
}

function readKeys(file: string): Map<string, PublicKey> {
  const { keys } = JSON.parse(readFileSync(file, "utf8")) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error(`${file} is not a JWK set`);
  return new Map(keys.map((jwk) => toPublicKey(file, jwk as Record<string, string>)));
}

function toPublicKey(file: string, jwk: Record<string, string>): [string, PublicKey] {
  const { kty, crv, x, kid, iss } = jwk;
  if (kty !== "OKP" || crv !== "Ed25519" || !x || !kid || !iss) {
    throw new Error(`${file}: every key needs kty OKP, crv Ed25519, x, kid and iss`);
  }
  const key = createPublicKey({ key: { kty, crv, x }, format: "jwk" });
  return [kid, { kid, issuer: iss, key }];
}
