import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import type { SigningKey } from "./signing-key";

const KEY_BYTES = 32;

/**
 * A symmetric key for another purpose than signing, from the private part of a signing key
 * (HKDF-SHA-256): the same for the same key and purpose, and nothing about another purpose's.
 */
export function deriveKey({ privateKey }: SigningKey, purpose: string): KeyObject {
  const { d = "" } = privateKey.export({ format: "jwk" });
  const secret = Buffer.from(d, "base64url");
  try {
    return createSecretKey(Buffer.from(hkdfSync("sha256", secret, "", purpose, KEY_BYTES)));
  } finally {
    secret.fill(0);
  }
}
