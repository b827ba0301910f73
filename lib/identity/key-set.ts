import { createPublicKey, type KeyObject } from "node:crypto";
import { type BigIntStats, closeSync, fstatSync, openSync, readFileSync, statSync } from "node:fs";
import { type Clock, systemClock } from "../clock";
import { type Log, silentLog } from "../log";

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

export interface KeySetOptions {
  clock?: Clock;
  log?: Log;
}

/** How long a key that was taken out of the file may still count, and a new one may not. */
const RECHECK_MS = 1_000;

/**
 * Reads a JWK Set (RFC 7517) of Ed25519 keys (RFC 8037), each with `kid` and `iss`. The file is
 * read again when it changed, by the first question that comes a second or more after the last
 * look, so keys are rolled without a restart. A file that cannot be read keeps the last good set; it
 * is said once, and tried at every look. Throws when the first read fails.
 */
export function createKeySet(file: string, options: KeySetOptions = {}): KeySet {
  const { clock = systemClock, log = silentLog } = options;
  let known = readKeys(file);
  let checkedMs = clock.monotonicMs();
  let isBroken = false;
  const look = () => {
    try {
      if (!isBroken && stampOf(statSync(file, { bigint: true })) === known.stamp) return;
      known = readKeys(file);
      if (isBroken) log.info("key set file can be read again", { file });
      isBroken = false;
    } catch (error) {
      if (!isBroken) log.error("key set file cannot be read, the last good keys stay", { error });
      isBroken = true;
    }
  };
  const current = () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - checkedMs >= RECHECK_MS) {
      checkedMs = nowMs;
      look();
    }
    return known.keys;
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

interface KnownKeys {
  keys: Map<string, PublicKey>;
  stamp: string;
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(":");
}

/** The stamp is of what was opened, from before it was read: a change in between shows in the next. */
function readKeys(file: string): KnownKeys {
  const fd = openSync(file, "r");
  try {
    const stamp = stampOf(fstatSync(fd, { bigint: true }));
    return { keys: parseKeys(file, readFileSync(fd, "utf8")), stamp };
  } finally {
    closeSync(fd);
  }
}

function parseKeys(file: string, text: string): Map<string, PublicKey> {
  const { keys } = JSON.parse(text) as { keys?: unknown };
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
