import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { sensitive, type Sensitive } from "../../../lib/sensitive";
import { WrappedKeyRefused, type KeyProvider } from "./key-provider";
import type { KeyringKey } from "./local-keyring";

const IV_BYTES = 12;
const TAG_BYTES = 16;
const NAME = "local";

/**
 * Wraps under the keys of a local keyring, the last of which is the newest. Wrapped: length of the
 * key's id, id, IV, ciphertext, tag; the id is authenticated with the rest.
 */
export function createLocalKeyProvider(keyring: readonly KeyringKey[]): KeyProvider {
  const newest = keyring.at(-1);
  if (!newest) throw new Error("a keyring has at least one key");
  const byId = new Map(keyring.map((entry) => [entry.id, entry.key]));
  const wrap = (key: Sensitive<Buffer>) => wrapUnder(newest, key);
  const unwrap = (wrapped: Buffer) => unwrapUnder(byId, wrapped);
  return {
    name: NAME,
    wrap: (key) => Promise.resolve(wrap(key)),
    unwrap: async (wrapped) => Promise.resolve(unwrap(wrapped)),
    rewrap: async (wrapped) => Promise.resolve(wrapped.map((one) => wrap(unwrap(one)))),
  };
}

function wrapUnder({ id, key }: KeyringKey, plain: Sensitive<Buffer>): Buffer {
  const header = headerOf(id);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key.expose(), iv).setAAD(header);
  const ciphertext = Buffer.concat([cipher.update(plain.expose()), cipher.final()]);
  return Buffer.concat([header, iv, ciphertext, cipher.getAuthTag()]);
}

function unwrapUnder(keys: ReadonlyMap<string, Sensitive<Buffer>>, wrapped: Buffer) {
  const headerBytes = 1 + (wrapped[0] ?? 0);
  const key = keys.get(wrapped.subarray(1, headerBytes).toString("utf8"));
  if (!key || wrapped.length < headerBytes + IV_BYTES + TAG_BYTES)
    throw new WrappedKeyRefused(NAME);
  const ivEnd = headerBytes + IV_BYTES;
  const tagStart = wrapped.length - TAG_BYTES;
  const decipher = createDecipheriv(
    "aes-256-gcm",
    key.expose(),
    wrapped.subarray(headerBytes, ivEnd),
  );
  decipher.setAAD(wrapped.subarray(0, headerBytes)).setAuthTag(wrapped.subarray(tagStart));
  const plain = decipher.update(wrapped.subarray(ivEnd, tagStart));
  try {
    decipher.final();
  } catch (error) {
    throw new WrappedKeyRefused(NAME, error);
  }
  return sensitive(plain);
}

function headerOf(id: string): Buffer {
  const bytes = Buffer.from(id);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}
