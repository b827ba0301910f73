import { type Clock, systemClock } from "../clock";
import { unauthenticated } from "../errors";
import type { Authenticate } from "../grpc/run-call";
import { holdBack } from "./hold-back";
import { isWaiting, type MayWait } from "../may-wait";
import { toPrincipal } from "./claims";
import { type Sensitive, sensitive } from "../sensitive";
import type { KeySet } from "./key-set";
import type { DeveloperPrincipal, Principal } from "./principal";
import { createProofVerifier, PROOF_METADATA_KEY } from "./proof";
import { RefusedCredential, refusedCredential } from "./refused-credential";
import { createSessionProofVerifier, type FindProofKey, isSessionProof } from "./session-proof";
import { createTokenVerifier, PRODUCT_AUDIENCE, type VerifiedToken } from "./tokens";

const BEARER = "Bearer ";
/** No JWT begins so. */
const KEY = /^mur_(?:key|agt|ses)_/;

type Call = Parameters<Authenticate>[0];

/**
 * Who a presented API key, agent token or session is, or what is known of one that is over; undefined for any other.
 * Those two are told to the caller in a time that tells nothing.
 */
export type VerifyKey = (
  value: Sensitive<string>,
) => Promise<Principal | RefusedCredential | undefined>;

/**
 * Who a developer with a good identity token is now; undefined for one who is not let in any more. `peer`
 * is where the call comes from.
 */
export type AdmitDeveloper = (
  developer: DeveloperPrincipal,
  presented: { token: Sensitive<string>; peer: string },
) => MayWait<DeveloperPrincipal | undefined>;

export interface AuthenticatorOptions {
  keySet: KeySet;
  /** This service's own name: the audience of tokens that other services send it. */
  service: string;
  /** Where VMs may also prove themselves by a session that they opened. */
  findProofKey?: FindProofKey;
  /** Verifies API keys, agent tokens and sessions; absent: none are known here. */
  verifyKey?: VerifyKey;
  /** Asked about the bearer of every identity token; absent: the token alone says who they are. */
  admit?: AdmitDeveloper;
  clock?: Clock;
}

/** Authenticates calls by `authorization: Bearer …`; a VM's also by its proof of possession. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticate {
  const { keySet, service, clock = systemClock } = options;
  const tokens = createTokenVerifier({ keySet, audiences: [PRODUCT_AUDIENCE, service], clock });
  const proofs = createProofVerifier(clock);
  const { findProofKey } = options;
  const sessionProofs = findProofKey ? createSessionProofVerifier(findProofKey, clock) : proofs;
  const ofToken = (token: VerifiedToken, presented: string, call: Call): MayWait<Principal> => {
    const principal = toPrincipal(token, call.method, () => {
      const proof = call.get(PROOF_METADATA_KEY) ?? "";
      return (isSessionProof(proof) ? sessionProofs : proofs).verify(proof, call.method);
    });
    if (isWaiting(principal) || principal.kind !== "developer" || !options.admit) return principal;
    const by = { token: sensitive(presented), peer: call.peer ?? "" };
    const admitted = options.admit(principal, by);
    if (!isWaiting(admitted)) return admitted ?? notLetIn(principal);
    return admitted.then((it) => it ?? notLetIn(principal));
  };
  return (call) => {
    const header = call.get("authorization");
    if (header === undefined) return undefined;
    if (!header.startsWith(BEARER)) throw unauthenticated();
    const presented = header.slice(BEARER.length);
    if (KEY.test(presented)) return ofKey(options, sensitive(presented));
    const known = tokens.recall(presented);
    if (known) return ofToken(known, presented, call);
    return tokens.verify(presented).then((token) => ofToken(token, presented, call));
  };
}

async function ofKey(
  { verifyKey, clock = systemClock }: AuthenticatorOptions,
  value: Sensitive<string>,
): Promise<Principal> {
  const who = verifyKey && (await holdBack(clock, verifyKey(value), isRefused));
  if (who === undefined || who instanceof RefusedCredential) throw refusedCredential(who);
  return who;
}

function isRefused(who: Principal | RefusedCredential | undefined): boolean {
  return who === undefined || who instanceof RefusedCredential;
}

function notLetIn({ tenantId, kind, id }: DeveloperPrincipal): never {
  const why = "not let in";
  throw refusedCredential(
    new RefusedCredential({ tenantId, kind, id, credentialId: undefined, why }),
  );
}
