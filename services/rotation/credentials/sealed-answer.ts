import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";
import { type Sensitive, sensitive } from "../../../lib/sensitive";

const ALGORITHM = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Who asks again, and by what. */
export interface RepeatableRequest {
  tenantId: string;
  caller: string;
  /** 128 random bits or more: it is the key, and is kept nowhere. */
  requestId: Sensitive<string>;
}

/** What an answer is found by. It tells nothing of the request id. */
export function requestDigest({ caller, requestId }: RepeatableRequest): Buffer {
  return createHash("sha256").update(`murmur-request\0${caller}\0${requestId.expose()}`).digest();
}

/** Seals an answer so that only whoever presents the request id again can have it opened. */
export function sealAnswer(request: RepeatableRequest, answer: Sensitive<string>): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, keyOf(request), nonce);
  const sealed = Buffer.concat([cipher.update(answer.expose(), "utf8"), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
}

/** Opens it again; throws when the row is another's or was changed. */
export function openAnswer(request: RepeatableRequest, stored: Buffer): Sensitive<string> {
  const nonce = stored.subarray(0, NONCE_BYTES);
  const tag = stored.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv(ALGORITHM, keyOf(request), nonce, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(tag);
  const sealed = stored.subarray(NONCE_BYTES + TAG_BYTES);
  const answer = Buffer.concat([decipher.update(sealed), decipher.final()]);
  try {
    return sensitive(answer.toString("utf8"));
  } finally {
    answer.fill(0);
  }
}

function keyOf({ tenantId, caller, requestId }: RepeatableRequest): Buffer {
  const salt = `${tenantId}\0${caller}`;
  return Buffer.from(
    hkdfSync("sha256", requestId.expose(), salt, "murmur-sealed-answer", KEY_BYTES),
  );
}
