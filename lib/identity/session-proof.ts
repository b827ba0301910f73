import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import type { Clock } from "../clock";
import { type AppError, failedPrecondition, unauthenticated } from "../errors";
import type { SharedKey } from "./key-agreement";
import { isInWindow, NONCE_LENGTH, PROOF_WINDOW_MS, type ProofVerifier } from "./proof";
import { createReplayGuard } from "./replay-guard";

const VERSION = "s1";

/**
 * Proves possession of a delivery session's key, to which the VM's identity key agreed by its
 * signature: `s1.<session id>.<ms>.<nonce>.<mac>`. Good for one call of one method, as a proof by the
 * identity key is, at a twentieth of the cost.
 */
export function createSessionProof(
  session: { id: string; proofKey: SharedKey },
  method: string,
  clock: Clock,
): string {
  const timeMs = String(clock.now().getTime());
  const nonce = randomBytes(16).toString("base64url");
  const mac = macOf(session.proofKey, [session.id, method, timeMs, nonce]);
  return [VERSION, session.id, timeMs, nonce, mac.toString("base64url")].join(".");
}

/** A living session's key, and the identity key that signed for it; undefined for any other. */
export type FindProofKey = (
  sessionId: string,
) => { proofKey: SharedKey; keyThumbprint: string } | undefined;

export function isSessionProof(proof: string): boolean {
  return proof.startsWith(`${VERSION}.`);
}

/** Verifies proofs of the sessions that `find` knows, as createProofVerifier does the others. */
export function createSessionProofVerifier(find: FindProofKey, clock: Clock): ProofVerifier {
  const replays = createReplayGuard(2 * PROOF_WINDOW_MS, clock);
  const check = (proof: string, method: string): string => {
    const [version, id = "", timeMs = "", nonce = "", mac = ""] = proof.split(".");
    if (version !== VERSION || nonce.length !== NONCE_LENGTH) throw unauthenticated();
    if (!isInWindow(timeMs, clock)) throw unauthenticated();
    const session = find(id);
    if (!session) throw deliverySessionUnknown();
    const expected = macOf(session.proofKey, [id, method, timeMs, nonce]);
    const given = Buffer.from(mac, "base64url");
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      throw unauthenticated();
    if (!replays.isFirst(nonce)) throw unauthenticated();
    return session.keyThumbprint;
  };
  return {
    verify: (proof, method) =>
      new Promise((resolve) => {
        resolve(check(proof, method));
      }),
  };
}

/** What a VM is told whose session this replica does not hold, or holds no more. */
export function deliverySessionUnknown(): AppError {
  return failedPrecondition(
    ErrorReason.ERROR_REASON_DELIVERY_SESSION_UNKNOWN,
    "no such delivery session on this replica: open one and ask again",
  );
}

function macOf(key: SharedKey, parts: readonly string[]): Buffer {
  const text = ["murmur-session-proof-v1", ...parts].join("\0");
  return createHmac("sha256", key.expose()).update(text).digest();
}
