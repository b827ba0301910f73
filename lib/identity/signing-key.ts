import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { sensitive, type Sensitive } from "../sensitive";
import type { PublicKey } from "./key-set";

/** An Ed25519 private key with which an issuer signs tokens. */
export interface SigningKey {
  kid: string;
  issuer: string;
  privateKey: KeyObject;
  publicKey: KeyObject;
}

/** Parses a private JWK with `kid` and `iss`, the content of a `*_SIGNING_KEY_FILE`. */
export function parseSigningKey(text: Sensitive<string>): SigningKey {
  const { kty, crv, x, d, kid, iss } = JSON.parse(text.expose()) as Record<string, string>;
  if (kty !== "OKP" || crv !== "Ed25519" || !x || !d || !kid || !iss) {
    throw new Error("a signing key file holds one private Ed25519 JWK with kid and iss");
  }
  const privateKey = createPrivateKey({ key: { kty, crv, x, d }, format: "jwk" });
  return { kid, issuer: iss, privateKey, publicKey: createPublicKey(privateKey) };
}

/** Makes a new signing key for an issuer. */
export function generateSigningKey(issuer: string): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { kid: thumbprint(publicKey), issuer, privateKey, publicKey };
}

/** The private JWK to be kept in a file of mode 0600. */
export function signingKeyToJwk(key: SigningKey): Sensitive<string> {
  const jwk = { ...key.privateKey.export({ format: "jwk" }), kid: key.kid, iss: key.issuer };
  return sensitive(JSON.stringify(jwk));
}

/** The entry for a key set file. */
export function publicJwkOf(key: SigningKey): Record<string, unknown> {
  return { ...key.publicKey.export({ format: "jwk" }), kid: key.kid, iss: key.issuer };
}

export function toPublicKey(key: SigningKey): PublicKey {
  return { kid: key.kid, issuer: key.issuer, key: key.publicKey };
}

/** The raw 32 bytes of an Ed25519 public key. */
export function rawPublicKey(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
}

/** An Ed25519 public key from its raw 32 bytes; throws when they are no key. */
export function publicKeyFromRaw(raw: Uint8Array): KeyObject {
  if (raw.length !== 32) throw new Error("an Ed25519 public key has 32 bytes");
  const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(raw).toString("base64url") };
  return createPublicKey({ key: jwk, format: "jwk" });
}

/** JWK thumbprint (RFC 7638) of an Ed25519 public key. */
export function thumbprint(key: KeyObject): string {
  const { x } = key.export({ format: "jwk" });
  return createHash("sha256")
    .update(`{"crv":"Ed25519","kty":"OKP","x":"${x ?? ""}"}`)
    .digest("base64url");
}
