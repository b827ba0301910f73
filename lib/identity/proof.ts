import { randomBytes, sign, verify, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { type Clock, systemClock } from "../clock";
import { unauthenticated } from "../errors";
import { createReplayGuard } from "./replay-guard";
import { publicKeyFromRaw, rawPublicKey, thumbprint } from "./signing-key";

/** Metadata key of the proof that goes with a VM token, in the manner of DPoP (RFC 9449). */
export const PROOF_METADATA_KEY = "murmur-proof";

const VERSION = "v1";
export const PROOF_WINDOW_MS = 60_000;
/** Of 16 bytes in base64url. */
export const NONCE_LENGTH = 22;
/** On the thread pool: a signature costs as much as the rest of a small call. */
const verifyAside = promisify(verify);

/**
 * Proves possession of the identity key that a VM token names: `v1.<public key>.<ms>.<nonce>.<signature>`,
 * signed over method, time and nonce, so that it is good for one call of one method.
 */
export function createProof(
  identity: { privateKey: KeyObject; publicKey: KeyObject },
  method: string,
  clock: Clock = systemClock,
): string {
  const raw = rawPublicKey(identity.publicKey).toString("base64url");
  const nonce = randomBytes(16).toString("base64url");
  const timeMs = String(clock.now().getTime());
  const signature = sign(null, message(method, timeMs, nonce), identity.privateKey);
  return [VERSION, raw, timeMs, nonce, signature.toString("base64url")].join(".");
}

export interface ProofVerifier {
  /** Returns the thumbprint of the key that signed; throws UNAUTHENTICATED for anything else. */
  verify(proof: string, method: string): Promise<string>;
}

/** Verifies proofs within one minute of this machine's clock and refuses a second use. */
export function createProofVerifier(clock: Clock = systemClock): ProofVerifier {
  const replays = createReplayGuard(2 * PROOF_WINDOW_MS, clock);
  const keys = new Map<string, { key: KeyObject; thumbprint: string }>();
  return {
    async verify(proof, method) {
      const [version, raw = "", timeMs = "", nonce = "", signature = ""] = proof.split(".");
      if (version !== VERSION || nonce.length !== NONCE_LENGTH) throw unauthenticated();
      if (!isInWindow(timeMs, clock)) throw unauthenticated();
      const known = keys.get(raw) ?? parseKey(raw);
      const signed = Buffer.from(signature, "base64url");
      const signedText = message(method, timeMs, nonce);
      if (!(await verifyAside(null, signedText, known.key, signed))) throw unauthenticated();
      // After the wait: a proof that is sent twice at a time counts once.
      if (!replays.isFirst(nonce)) throw unauthenticated();
      if (keys.size >= 10_000) keys.clear();
      keys.set(raw, known);
      return known.thumbprint;
    },
  };
}

/** Whether a proof's time is within one minute of this machine's. */
export function isInWindow(timeMs: string, clock: Clock): boolean {
  // Written so that a time that is no number is refused, too.
  return Math.abs(clock.now().getTime() - Number(timeMs)) <= PROOF_WINDOW_MS;
}

function parseKey(raw: string): { key: KeyObject; thumbprint: string } {
  try {
    const key = publicKeyFromRaw(Buffer.from(raw, "base64url"));
    return { key, thumbprint: thumbprint(key) };
  } catch {
    throw unauthenticated(); // Not a key: as good as no proof.
  }
}

function message(method: string, timeMs: string, nonce: string): Buffer {
  return Buffer.from(`murmur-proof-${VERSION}\0${method}\0${timeMs}\0${nonce}`);
}
