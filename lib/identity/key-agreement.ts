import { webcrypto } from "node:crypto";
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { sensitive, type Sensitive } from "../sensitive";

/** The secret that both ends of an agreement hold; 32 bytes. */
export type SharedKey = Sensitive<Buffer>;

/** What an agreement yields: keys that tell nothing of each other. */
export interface AgreedKeys {
  /** Seals environments. */
  sealKey: SharedKey;
  /** Proves that a call comes from the session's VM. */
  proofKey: SharedKey;
}

/** An X25519 key pair that lives in this process' memory only; its private half cannot be exported. */
export interface AgreementKey {
  publicKey: Buffer;
  pair: webcrypto.CryptoKeyPair;
}

const SEAL_LABEL = Buffer.from("murmur-env-v1");
const PROOF_LABEL = Buffer.from("murmur-session-proof-v1");
const KEY_BYTES = 32;

/** Makes the key of one incarnation of a VM's daemon. */
export async function generateAgreementKey(): Promise<AgreementKey> {
  const algorithm = { name: "X25519" };
  const pair = await webcrypto.subtle.generateKey(algorithm, false, ["deriveBits"]);
  if (!("privateKey" in pair)) throw new Error("X25519 is not available");
  return { publicKey: Buffer.from(await webcrypto.subtle.exportKey("raw", pair.publicKey)), pair };
}

/**
 * The catalog's half of HPKE (RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
 * AES-256-GCM): fresh keys that only the holder of `publicKey` can derive from `encapsulatedKey`,
 * and only with the same `info`. Throws when the bytes are no usable X25519 key (wrong length, low
 * order).
 */
export async function encapsulateKey(
  publicKey: Uint8Array,
  info: Uint8Array,
): Promise<{ encapsulatedKey: Buffer; keys: AgreedKeys }> {
  const suite = createSuite();
  // The library names a type of browsers, which Node has under another name.
  const imported = (await suite.kem.deserializePublicKey(publicKey)) as webcrypto.CryptoKey;
  const sender = await suite.createSenderContext({
    recipientPublicKey: imported,
    info: copy(info),
  });
  return { encapsulatedKey: Buffer.from(sender.enc), keys: await exportKeys(sender) };
}

/** The VM's half; throws when `encapsulatedKey` is not an X25519 key. */
export async function decapsulateKey(
  own: AgreementKey,
  encapsulatedKey: Uint8Array,
  info: Uint8Array,
): Promise<AgreedKeys> {
  const recipient = await createSuite().createRecipientContext({
    // Handed over as a pair, the library has no need to export the private half.
    recipientKey: own.pair,
    enc: copy(encapsulatedKey),
    info: copy(info),
  });
  return exportKeys(recipient);
}

/** The part of an HPKE context that both halves have. */
interface Exporter {
  export(label: ArrayBuffer, length: number): Promise<ArrayBuffer>;
}

async function exportKeys(context: Exporter): Promise<AgreedKeys> {
  const exportKey = async (label: Buffer) =>
    sensitive(Buffer.from(await context.export(copy(label), KEY_BYTES)));
  return { sealKey: await exportKey(SEAL_LABEL), proofKey: await exportKey(PROOF_LABEL) };
}

function createSuite(): CipherSuite {
  return new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes256Gcm(),
  });
}

/** The library takes whole ArrayBuffers; a Buffer is often a window on a shared one. */
function copy(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
