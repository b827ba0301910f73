import { errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from "jose";
import type { Clock } from "../../clock";
import { unauthenticated } from "../../errors";
import { type Log, silentLog } from "../../log";
import type { Sensitive } from "../../sensitive";
import { createProviderKeys, type ProviderKeysOptions } from "./provider-keys";

/** What a provider says of somebody who has just signed in. */
export interface IdToken {
  issuer: string;
  /** The one name that the provider never gives to another. */
  subject: string;
  nonce: string | undefined;
  /** Milliseconds since the epoch. */
  expiresAtMs: number;
  claims: Readonly<Record<string, unknown>>;
}

export interface IdTokenVerifierOptions extends ProviderKeysOptions {
  /** The client that the token has to be for. */
  clientId: string;
  log?: Log;
}

/** Signatures by a key pair only: with a shared secret, or none, anybody could make tokens. */
const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];
const MAX_BYTES = 16 * 1024;
const CLOCK_TOLERANCE_SECONDS = 30;
/** It is exchanged right after the sign-in. */
const MAX_AGE_SECONDS = 10 * 60;

/**
 * Verifies ID tokens (OpenID Connect Core 1.0, section 3.1.3.7) of one provider for one client. Throws
 * UNAUTHENTICATED, the same for every cause, which the log has; UNAVAILABLE without the provider's keys.
 */
export function createIdTokenVerifier(options: IdTokenVerifierOptions) {
  const { clock, log = silentLog } = options;
  const keys = createProviderKeys(options);
  return async (token: Sensitive<string>): Promise<IdToken> => {
    try {
      return await verifyWith(await keys.current());
    } catch (error) {
      const renewed = error instanceof errors.JWKSNoMatchingKey ? await keys.renewed() : undefined;
      if (renewed) return verifyWith(renewed).catch(refuse);
      return refuse(error);
    }

    async function verifyWith(getKey: JWTVerifyGetKey): Promise<IdToken> {
      const text = token.expose();
      if (text.length > MAX_BYTES) throw new errors.JWTInvalid("the token is too long");
      const { payload } = await jwtVerify(text, getKey, checksOf(options, clock));
      assertAuthorizedParty(payload, options.clientId);
      return toIdToken(payload);
    }
  };

  function refuse(error: unknown): never {
    if (!(error instanceof errors.JOSEError) && !(error instanceof TypeError)) throw error;
    log.warn("an ID token was refused", { cause: error.message });
    throw unauthenticated();
  }
}

function checksOf({ issuer, clientId }: IdTokenVerifierOptions, clock: Clock) {
  return {
    ...{ algorithms: ALGORITHMS, issuer, audience: clientId, currentDate: clock.now() },
    ...{ clockTolerance: CLOCK_TOLERANCE_SECONDS, maxTokenAge: MAX_AGE_SECONDS },
    requiredClaims: ["sub", "exp", "iat"],
  };
}

/** A token for several clients names the one that asked for it. */
function assertAuthorizedParty({ aud, azp }: JWTPayload, clientId: string): void {
  const isForMany = Array.isArray(aud) && aud.length > 1;
  if (azp === undefined ? isForMany : azp !== clientId)
    throw new errors.JWTClaimValidationFailed("another client asked for it", {}, "azp");
}

function toIdToken(payload: JWTPayload): IdToken {
  const { iss = "", sub = "", exp = 0, nonce } = payload;
  if (sub === "") throw new errors.JWTClaimValidationFailed("nobody is named", payload, "sub");
  return {
    ...{ issuer: iss, subject: sub, expiresAtMs: exp * 1000, claims: payload },
    nonce: typeof nonce === "string" ? nonce : undefined,
  };
}
