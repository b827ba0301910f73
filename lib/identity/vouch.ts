import { createHash } from "node:crypto";
import { type Clock, systemClock } from "../clock";
import { isAppError } from "../errors";
import type { Sensitive } from "../sensitive";
import type { KeySet } from "./key-set";
import type { SigningKey } from "./signing-key";
import { createTokenVerifier, signToken, type VerifiedToken } from "./tokens";

/** Metadata in which the gateway says for whom it calls; next to the caller's own credential. */
export const VOUCH_METADATA_KEY = "murmur-vouch";

/** Who alone may vouch. */
const ISSUER = "murmur-gateway";
const SUBJECT = "gateway";
const KIND = "vouch";
const TTL_SECONDS = 60;
const REUSE_MS = 20_000;
const MAX_KEPT = 10_000;

/** The request that the gateway serves by a call. */
export interface Vouch {
  /** Network address of the client: `203.0.113.7`, `[2001:db8::1]`. */
  client: string;
  /** What the client asked for, in its one spelling; absent where nobody needs to know. */
  route?: { method: string; path: string };
}

/** One call that is about to be made. */
export interface VouchedCall extends Vouch {
  /** The service that is called. */
  audience: string;
  /** `/package.Service/Method`. */
  rpc: string;
  /** The credential that the call carries; undefined: none. */
  bearer: Sensitive<string> | undefined;
}

export type Vouching = (call: VouchedCall) => Promise<Record<string, string>>;

/**
 * Makes the metadata that vouches for calls. A vouch is good for one RPC of one service together with
 * one credential (as `ath` of RFC 9449), for a minute, and is used again for a third of that.
 */
export function createVouching(key: SigningKey, clock: Clock = systemClock): Vouching {
  const kept = new Map<string, { token: Promise<string>; atMs: number }>();
  return async (call) => {
    const claims = claimsOf(call);
    const id = JSON.stringify([call.audience, claims]);
    const nowMs = clock.monotonicMs();
    let entry = kept.get(id);
    if (!entry || nowMs - entry.atMs > REUSE_MS) {
      kept.delete(id);
      if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value ?? "");
      const { audience } = call;
      const init = { subject: SUBJECT, audience, ttlSeconds: TTL_SECONDS, claims, clock };
      entry = { token: signToken(key, init), atMs: nowMs };
      kept.set(id, entry);
    }
    return { [VOUCH_METADATA_KEY]: await entry.token };
  };
}

function claimsOf({ rpc, client, route, bearer }: VouchedCall): Record<string, unknown> {
  return {
    ...{ knd: KIND, mth: rpc, cli: client, ath: hashOf(bearer) },
    ...(route && { rte: `${route.method} ${route.path}` }),
  };
}

/** What of a call a vouch is held against. */
export interface IncomingVouch {
  method: string;
  /** Of metadata. */
  get(key: string): string | undefined;
}

/** The vouch that a call carries; undefined, at once where it carries none, when none counts for it. */
export type ReadVouch = (call: IncomingVouch) => Promise<Vouch | undefined> | undefined;

/** Reads vouches to `service`. One that does not count changes nothing: the call is its peer's own. */
export function createVouchReader(options: {
  keySet: KeySet;
  service: string;
  clock?: Clock;
}): ReadVouch {
  const { keySet, service, clock } = options;
  const tokens = createTokenVerifier({ keySet, audiences: [service], ...(clock && { clock }) });
  const read = async (text: string, call: IncomingVouch) => {
    try {
      return toVouch(await tokens.verify(text), call);
    } catch (error) {
      if (isAppError(error)) return undefined;
      throw error;
    }
  };
  return (call) => {
    const text = call.get(VOUCH_METADATA_KEY);
    return text === undefined ? undefined : read(text, call);
  };
}

function toVouch(
  { issuer, subject, claims }: VerifiedToken,
  call: IncomingVouch,
): Vouch | undefined {
  const { knd, mth, cli, ath, rte } = claims;
  if (issuer !== ISSUER || subject !== SUBJECT || knd !== KIND) return undefined;
  if (mth !== call.method || typeof cli !== "string") return undefined;
  const authorization = call.get("authorization");
  if (ath !== hashOfText(authorization?.replace(/^Bearer /, ""))) return undefined;
  const [verb, path] = typeof rte === "string" ? rte.split(" ") : [];
  const hasRoute = verb !== undefined && path !== undefined;
  return { client: cli, ...(hasRoute && { route: { method: verb, path } }) };
}

function hashOf(bearer: Sensitive<string> | undefined): string {
  return hashOfText(bearer?.expose());
}

function hashOfText(text: string | undefined): string {
  return text === undefined ? "" : createHash("sha256").update(text).digest("base64url");
}
