import { decodeProtectedHeader, errors, jwtVerify, SignJWT, type JWTPayload } from "jose";
import { type Clock, systemClock } from "../clock";
import { unauthenticated } from "../errors";
import type { KeySet } from "./key-set";
import type { SigningKey } from "./signing-key";

/** Audience of developers' and VMs' tokens; a service's token names the callee instead. */
export const PRODUCT_AUDIENCE = "murmur";

const CACHE_SIZE = 10_000;
const CLOCK_TOLERANCE_SECONDS = 5;

export interface TokenInit {
  subject: string;
  audience: string;
  ttlSeconds: number;
  claims: Record<string, unknown>;
  clock?: Clock;
}

/** A verified token. */
export interface VerifiedToken {
  issuer: string;
  subject: string;
  audience: string;
  /** Milliseconds since the epoch. */
  expiresAtMs: number;
  claims: JWTPayload;
}

/** Signs a JWT (RFC 7519) with EdDSA under the issuer's key. */
export async function signToken(key: SigningKey, init: TokenInit): Promise<string> {
  const nowSeconds = Math.floor((init.clock ?? systemClock).now().getTime() / 1000);
  return new SignJWT(init.claims)
    .setProtectedHeader({ alg: "EdDSA", kid: key.kid, typ: "JWT" })
    .setIssuer(key.issuer)
    .setSubject(init.subject)
    .setAudience(init.audience)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + init.ttlSeconds)
    .sign(key.privateKey);
}

export interface TokenVerifier {
  /** Throws UNAUTHENTICATED for any token that is not valid now; every cause looks the same. */
  verify(token: string): Promise<VerifiedToken>;
  /** One that was verified before and is valid still. */
  recall(token: string): VerifiedToken | undefined;
}

export interface TokenVerifierOptions {
  keySet: KeySet;
  /** Audiences that this process answers to. */
  audiences: readonly string[];
  clock?: Clock;
}

/**
 * Verifies tokens against a key set. A verified token is remembered until it expires (checking a
 * signature costs 30 times a look-up), but no longer than its key is in the set.
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { keySet, clock = systemClock } = options;
  const cache = new Map<string, { token: VerifiedToken; kid: string }>();
  const recall = (text: string) => {
    const hit = cache.get(text);
    if (!hit) return undefined;
    if (keySet.find(hit.kid) && hit.token.expiresAtMs > clock.now().getTime()) return hit.token;
    cache.delete(text);
    return undefined;
  };
  return {
    recall,
    async verify(text) {
      const known = recall(text);
      if (known) return known;
      const verified = await verifySignature(text, options, clock);
      if (cache.size >= CACHE_SIZE) cache.delete(cache.keys().next().value ?? "");
      cache.set(text, verified);
      return verified.token;
    },
  };
}

async function verifySignature(
  text: string,
  { keySet, audiences }: TokenVerifierOptions,
  clock: Clock,
): Promise<{ token: VerifiedToken; kid: string }> {
  try {
    const { kid } = decodeProtectedHeader(text);
    const key = kid === undefined ? undefined : keySet.find(kid);
    if (!key || kid === undefined) throw unauthenticated();
    const { payload } = await jwtVerify(text, key.key, {
      algorithms: ["EdDSA"],
      issuer: key.issuer,
      audience: [...audiences],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: clock.now(),
      requiredClaims: ["sub", "exp", "iat"],
    });
    return { kid, token: toVerified(key.issuer, payload) };
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) throw unauthenticated();
    throw error;
  }
}

function toVerified(issuer: string, payload: JWTPayload): VerifiedToken {
  return {
    issuer,
    subject: payload.sub ?? "",
    audience: String(payload.aud),
    expiresAtMs: (payload.exp ?? 0) * 1000,
    claims: payload,
  };
}
