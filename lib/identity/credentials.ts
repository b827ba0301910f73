import type { KeyObject } from "node:crypto";
import { type Clock, systemClock } from "../clock";
import type { Credentials } from "../grpc/client";
import type { Sensitive } from "../sensitive";
import { issueServiceToken, SERVICE_TTL_SECONDS } from "./claims";
import type { SharedKey } from "./key-agreement";
import { createProof, PROOF_METADATA_KEY } from "./proof";
import { createSessionProof } from "./session-proof";
import type { SigningKey } from "./signing-key";

const REUSE_MS = 30_000;

/** Credentials of a developer: the bearer token alone. */
export function bearerCredentials(token: Sensitive<string>): Credentials {
  return () => Promise.resolve({ authorization: `Bearer ${token.expose()}` });
}

/** Credentials of a VM: its current token and a proof for each call. */
export function vmCredentials(
  identity: { privateKey: KeyObject; publicKey: KeyObject },
  currentToken: () => Promise<Sensitive<string>>,
  clock: Clock = systemClock,
): Credentials {
  return async (method) => ({
    authorization: `Bearer ${(await currentToken()).expose()}`,
    [PROOF_METADATA_KEY]: createProof(identity, method, clock),
  });
}

/** Credentials of a VM for calls under a delivery session: a proof by the session costs less. */
export function sessionCredentials(
  session: { id: string; proofKey: SharedKey },
  currentToken: () => Promise<Sensitive<string>>,
  clock: Clock,
): Credentials {
  return async (method) => ({
    authorization: `Bearer ${(await currentToken()).expose()}`,
    [PROOF_METADATA_KEY]: createSessionProof(session, method, clock),
  });
}

export interface ServiceCredentialsOptions {
  key: SigningKey;
  /** Who calls. */
  service: string;
  /** Who is called. */
  audience: string;
  tenantId: string;
  clock?: Clock;
}

/** Credentials of a service within one tenant: a token per method, used for half its minute. */
export function serviceCredentials(options: ServiceCredentialsOptions): Credentials {
  const { clock = systemClock } = options;
  const issued = new Map<string, { token: Promise<string>; atMs: number }>();
  return async (method) => {
    let entry = issued.get(method);
    if (!entry || clock.monotonicMs() - entry.atMs > REUSE_MS) {
      const token = issueServiceToken(options.key, {
        ...options,
        method,
        ttlSeconds: SERVICE_TTL_SECONDS,
      });
      entry = { token, atMs: clock.monotonicMs() };
      issued.set(method, entry);
    }
    return { authorization: `Bearer ${await entry.token}` };
  };
}
