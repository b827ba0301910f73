import { type Clock, systemClock } from "../clock";
import { unauthenticated } from "../errors";
import type { Authenticate } from "../grpc/run-call";
import { toPrincipal } from "./claims";
import type { KeySet } from "./key-set";
import { createProofVerifier, PROOF_METADATA_KEY } from "./proof";
import { createSessionProofVerifier, type FindProofKey, isSessionProof } from "./session-proof";
import { createTokenVerifier, PRODUCT_AUDIENCE } from "./tokens";

const BEARER = "Bearer ";

export interface AuthenticatorOptions {
  keySet: KeySet;
  /** This service's own name: the audience of tokens that other services send it. */
  service: string;
  /** Where VMs may also prove themselves by a session that they opened. */
  findProofKey?: FindProofKey;
  clock?: Clock;
}

/** Authenticates calls by `authorization: Bearer …`; a VM's also by its proof of possession. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticate {
  const { keySet, service, clock = systemClock } = options;
  const tokens = createTokenVerifier({ keySet, audiences: [PRODUCT_AUDIENCE, service], clock });
  const proofs = createProofVerifier(clock);
  const { findProofKey } = options;
  const sessionProofs = findProofKey ? createSessionProofVerifier(findProofKey, clock) : proofs;
  return async (call) => {
    const header = call.get("authorization");
    if (header === undefined) return undefined;
    if (!header.startsWith(BEARER)) throw unauthenticated();
    const token = await tokens.verify(header.slice(BEARER.length));
    return toPrincipal(token, call.method, () => {
      const proof = call.get(PROOF_METADATA_KEY) ?? "";
      return (isSessionProof(proof) ? sessionProofs : proofs).verify(proof, call.method);
    });
  };
}
