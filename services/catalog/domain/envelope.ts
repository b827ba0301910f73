import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  type CipherGCM,
  type DecipherGCM,
  type KeyObject,
} from "node:crypto";
import { sensitive, type Sensitive } from "../../../lib/sensitive";

/** First byte of everything that is sealed; another layout gets another number. */
const LAYOUT = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + IV_BYTES;
const SUBKEY_BYTES = 32;

/** A key as the cipher takes it: a third quicker than one of bytes, and not printable. */
export type SecretKey = Sensitive<KeyObject>;

export function toSecretKey(bytes: Buffer): SecretKey {
  return sensitive(createSecretKey(bytes));
}

/** Something sealed fails its tag: it was changed, or belongs elsewhere. */
export class EnvelopeBroken extends Error {
  constructor(cause?: unknown) {
    super("a sealed value does not open: it was changed, or moved from another row", { cause });
    this.name = "EnvelopeBroken";
  }
}

/** Where a sealed value belongs. Moved to another tenant, name, owner or row it does not open. */
export interface SealContext {
  tenantId: string;
  kind: string;
  /** The row's id, never used for another row. */
  id: string;
  owner: string;
  name: string;
}

/**
 * Seals with AES-256-GCM: layout byte, 12 random bytes of IV, ciphertext, tag. Random IVs are safe
 * for 2^32 values of one key.
 */
export function seal(key: SecretKey, context: SealContext, value: Sensitive<Buffer>): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header[0] = LAYOUT;
  randomBytes(IV_BYTES).copy(header, 1);
  const cipher: CipherGCM = createCipheriv("aes-256-gcm", key.expose(), header.subarray(1));
  cipher.setAAD(associatedData(context));
  return Buffer.concat([
    header,
    cipher.update(value.expose()),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
}

/** Opens what `seal` made for the same place; throws EnvelopeBroken for anything else. */
export function unseal(key: SecretKey, context: SealContext, sealed: Buffer): Sensitive<Buffer> {
  if (sealed.length < HEADER_BYTES + TAG_BYTES || sealed[0] !== LAYOUT) throw new EnvelopeBroken();
  const iv = sealed.subarray(1, HEADER_BYTES);
  const tagStart = sealed.length - TAG_BYTES;
  const decipher: DecipherGCM = createDecipheriv("aes-256-gcm", key.expose(), iv);
  decipher.setAAD(associatedData(context));
  decipher.setAuthTag(sealed.subarray(tagStart));
  const plaintext = decipher.update(sealed.subarray(HEADER_BYTES, tagStart));
  try {
    decipher.final();
  } catch (error) {
    throw new EnvelopeBroken(error);
  }
  return sensitive(plaintext);
}

/** What subkeys of a data key are for; each is independent of the others (RFC 5869). */
export type SubkeyPurpose = "snapshot-mac" | "fingerprint" | "request-hash" | "vm-mac";

/** Derives a subkey of a data key. It costs as much as three values: DataKey remembers it. */
export function deriveSubkey(key: SecretKey, purpose: SubkeyPurpose): SecretKey {
  const info = `murmur-${purpose}-v1`;
  return toSecretKey(Buffer.from(hkdfSync("sha256", key.expose(), "", info, SUBKEY_BYTES)));
}

export type MacPart = string | Buffer | Sensitive<Buffer>;

/** HMAC-SHA-256 over the parts with their lengths, so that no two lists of parts are alike. */
export function macOf(key: SecretKey, parts: readonly MacPart[]): Buffer {
  const hmac = createHmac("sha256", key.expose());
  for (const part of parts) {
    const bytes = toBytes(part);
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(bytes.length);
    hmac.update(length).update(bytes);
  }
  return hmac.digest();
}

function toBytes(part: MacPart): Buffer {
  if (typeof part === "string") return Buffer.from(part);
  return Buffer.isBuffer(part) ? part : part.expose();
}

/** No part can hold a NUL: PostgreSQL's texts have none. */
function associatedData({ tenantId, kind, id, owner, name }: SealContext): Buffer {
  return Buffer.from([tenantId, kind, id, owner, name].join("\0"));
}
