import { createHash, randomBytes } from "node:crypto";
import { sensitive, type Sensitive } from "../sensitive";

/**
 * `mur_join_<id>_<secret>_<pin>`: base64url of 16, 32 and 16 bytes. The parts have fixed lengths
 * because base64url itself holds underscores.
 */
const FORMAT = /^mur_join_([\w-]{22})_([\w-]{43})_([\w-]{22})$/;
const PIN_BYTES = 16;

export interface JoinToken {
  /** Names the token in the register; not secret. */
  id: string;
  /** First 16 bytes of the SHA-256 of the catalog's delivery key, which the VM compares at join. */
  pin: Buffer;
  text: Sensitive<string>;
}

/** Makes a new token that pins this delivery key (raw Ed25519, 32 bytes). */
export function createJoinToken(deliveryPublicKey: Uint8Array): JoinToken {
  const id = randomBytes(16).toString("base64url");
  const secret = randomBytes(32).toString("base64url");
  const pin = deliveryKeyPin(deliveryPublicKey);
  const text = ["mur_join", id, secret, pin.toString("base64url")].join("_");
  return { id, pin, text: sensitive(text) };
}

/** Reads a token; undefined for any text that is not exactly one. */
export function parseJoinToken(text: Sensitive<string>): JoinToken | undefined {
  const match = FORMAT.exec(text.expose());
  if (!match) return undefined;
  const [, id = "", secret = "", pin = ""] = match;
  if (![id, secret, pin].every(isCanonical)) return undefined;
  return { id, pin: Buffer.from(pin, "base64url"), text };
}

/** What a join token holds of a delivery key. */
export function deliveryKeyPin(deliveryPublicKey: Uint8Array): Buffer {
  return createHash("sha256").update(deliveryPublicKey).digest().subarray(0, PIN_BYTES);
}

/** What the register keeps of a token. */
export function joinTokenHash(text: Sensitive<string>): Buffer {
  return createHash("sha256").update(text.expose()).digest();
}

/** The last character of base64url may hide bits: two texts of one value would be two tokens. */
function isCanonical(part: string): boolean {
  return Buffer.from(part, "base64url").toString("base64url") === part;
}
