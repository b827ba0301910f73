import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { Clock } from "../../clock";
import { unavailable } from "../../errors";
import { fetchJson, isLoopback, isSafeUrl } from "./fetch-json";

export interface ProviderKeysOptions {
  /** As it stands in tokens; the document about it is below. */
  issuer: string;
  clock: Clock;
  /** Throws when there is no such document. */
  fetch?: (url: URL) => Promise<unknown>;
}

/** The keys with which an OpenID provider signs. */
export interface ProviderKeys {
  /** Those that are known; throws UNAVAILABLE when there are none and the provider cannot be reached. */
  current(): Promise<JWTVerifyGetKey>;
  /** The same, fetched anew for a key that is not among them; undefined when it is too early for that. */
  renewed(): Promise<JWTVerifyGetKey | undefined>;
}

const FRESH_MS = 10 * 60_000;
/** For so long a provider that is away is not felt. */
const STALE_MS = 60 * 60_000;
/** Whoever presents tokens must not be able to make us ask the provider as often as they like. */
const RETRY_MS = 10_000;

/**
 * Keeps a provider's key set (RFC 7517), which its discovery document (OpenID Connect Discovery 1.0) points
 * at. Nothing but what the configured issuer says is ever fetched.
 */
export function createProviderKeys(options: ProviderKeysOptions): ProviderKeys {
  const { clock } = options;
  let known: { keys: JWTVerifyGetKey; fetchedMs: number } | undefined;
  let triedMs: number | undefined;
  let inFlight: Promise<JWTVerifyGetKey> | undefined;

  const ageMs = (sinceMs: number) => clock.monotonicMs() - sinceMs;
  const mayTry = () => triedMs === undefined || ageMs(triedMs) >= RETRY_MS;
  const load = async () => {
    triedMs = clock.monotonicMs();
    const fetchedMs = triedMs;
    const keys = createLocalJWKSet(await fetchKeys(options));
    known = { keys, fetchedMs };
    return keys;
  };
  const loadOnce = () =>
    (inFlight ??= load().finally(() => {
      inFlight = undefined;
    }));

  return {
    async current() {
      if (known && ageMs(known.fetchedMs) < FRESH_MS) return known.keys;
      let cause: unknown;
      if (inFlight ?? mayTry()) {
        try {
          return await loadOnce();
        } catch (error) {
          cause = error;
        }
      }
      if (known && ageMs(known.fetchedMs) < STALE_MS) return known.keys;
      throw unavailable("the identity provider cannot be reached", cause);
    },
    async renewed() {
      if (!inFlight && !mayTry()) return undefined;
      try {
        return await loadOnce();
      } catch (error) {
        throw unavailable("the identity provider cannot be reached", error);
      }
    },
  };
}

async function fetchKeys({ issuer, fetch = fetchJson }: ProviderKeysOptions) {
  const about = (await fetch(discoveryUrl(issuer))) as Record<string, unknown>;
  if (about["issuer"] !== issuer) throw new Error("the discovery document is another issuer's");
  const keysUrl = new URL(String(about["jwks_uri"]));
  // Another host may have the keys; but nobody on the network points us at one of this machine's.
  if (!isSafeUrl(keysUrl) || (isLoopback(keysUrl) && !isLoopback(new URL(issuer))))
    throw new Error("the discovery document points at keys that may not be fetched");
  return (await fetch(keysUrl)) as JSONWebKeySet;
}

/** Beside the issuer's own path, as the specification has it. */
function discoveryUrl(issuer: string): URL {
  return new URL(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
}
