import { type Clock, systemClock } from "../clock";
import { unauthenticated } from "../errors";
import type { Authenticate } from "../grpc/run-call";
import { toPrincipal } from "./claims";
import type { KeySet } from "./key-set";
import { createProofVerifier, PROOF_METADATA_KEY } from "./proof";
import { createTokenVerifier, PRODUCT_AUDIENCE } from "./tokens";

const BEARER = "Bearer ";

export interface AuthenticatorOptions {
  keySet: KeySet;
  /** This service's own name: the audience of tokens that other services send it. */
  service: string;
  clock?: Clock;
}

/** Authenticates calls by `authorization: Bearer …`; a VM's also by its proof of possession. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticate {
  const { keySet, service, clock = systemClock } = options;
  const tokens = createTokenVerifier({ keySet, audiences: [PRODUCT_AUDIENCE, service], clock });
  const proofs = createProofVerifier(clock);
  return async (call) => {
    const header = call.get("authorization");
    if (header === undefined) return undefined;
    if (!header.startsWith(BEARER)) throw unauthenticated();
    const token = await tokens.verify(header.slice(BEARER.length));
    return toPrincipal(token, call.method, () =>
      proofs.verify(call.get(PROOF_METADATA_KEY) ?? "", call.method),
    );
  };
}
