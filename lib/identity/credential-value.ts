import { randomBytes } from "node:crypto";
import { type Sensitive, sensitive } from "../sensitive";
import { sha256, sha256Base64 } from "../sha256";

export type CredentialKind = "api-key" | "agent-token" | "session";

/** What the value of each kind begins with (behaviour, section 7; sessions: decision 13). */
const PREFIXES: Record<CredentialKind, string> = {
  "api-key": "mur_key_",
  "agent-token": "mur_agt_",
  session: "mur_ses_",
};
const SECRET_BYTES = 32;
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 62^43 > 2^256. */
const SECRET_DIGITS = 43;
/** 62^5 < 2^32 < 62^6. */
const CHECKSUM_DIGITS = 6;
const FORMAT = /^mur_(?:key|agt|ses)_[0-9A-Za-z]{49}$/;
const MARKED = /^[0-9A-Za-z]{49}$/;
/** What other values of the same make begin with: rotation secrets, invitations to register. */
export type ValueMark = "mur_rot_" | "mur_inv_";
/** Of the secret, these many characters are shown. */
const SHOWN = 4;

export interface CredentialValue {
  text: Sensitive<string>;
  /** What is kept of it. */
  hash: Buffer;
  /** What is shown of it. */
  prefix: string;
}

/**
 * A new value: the kind's prefix, 256 random bits and a checksum, all of letters and digits, so that a
 * double click takes it whole and scanners of source code can tell a leaked one from a look-alike.
 */
export function createCredentialValue(kind: CredentialKind): CredentialValue {
  const { text, hash } = createMarkedValue(PREFIXES[kind]);
  const prefix = text.expose().slice(0, PREFIXES[kind].length + SHOWN);
  return { text, hash, prefix };
}

/** A value of the same make that begins with `mark`, and what is kept of it. */
export function createMarkedValue(mark: string): Pick<CredentialValue, "text" | "hash"> {
  const secret = BigInt(`0x${randomBytes(SECRET_BYTES).toString("hex")}`);
  const body = mark + toDigits(secret, SECRET_DIGITS);
  const text = body + checksumOf(body);
  return { text: sensitive(text), hash: sha256(text) };
}

/** What is kept of a presented value; undefined when it cannot be one of ours. */
export function readCredentialValue(value: Sensitive<string>): Buffer | undefined {
  const text = value.expose();
  return FORMAT.test(text) ? checkedHash(text) : undefined;
}

/** The same in base64, of whatever was presented: what is known under it was a value. */
export function hashText(value: Sensitive<string>): string {
  return sha256Base64(value.expose());
}

/** The same of a value that has to begin with `mark`. */
export function readMarkedValue(mark: ValueMark, value: Sensitive<string>): Buffer | undefined {
  const text = value.expose();
  if (!text.startsWith(mark) || !MARKED.test(text.slice(mark.length))) return undefined;
  return checkedHash(text);
}

/** The value has 256 random bits: a plain hash of it can neither be guessed nor looked up. */
function checkedHash(text: string): Buffer | undefined {
  const body = text.slice(0, -CHECKSUM_DIGITS);
  return checksumOf(body) === text.slice(-CHECKSUM_DIGITS) ? sha256(text) : undefined;
}

/** The first 32 bits of the SHA-256 of what is before it. */
function checksumOf(body: string): string {
  let digits = "";
  let rest = sha256(body).readUInt32BE(0);
  for (let count = 0; count < CHECKSUM_DIGITS; count++) {
    digits = DIGITS.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

function toDigits(number: bigint, count: number): string {
  let digits = "";
  for (let rest = number; digits.length < count; rest /= 62n)
    digits = DIGITS.charAt(Number(rest % 62n)) + digits;
  return digits;
}
