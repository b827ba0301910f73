import type { GatherRecord } from "../../../lib/audit/audit";
import type { Clock } from "../../../lib/clock";
import { createIdTokenVerifier } from "../../../lib/identity/oidc/id-token";
import type { Log } from "../../../lib/log";
import type { Pool } from "../../../lib/postgres/db";
import { postgresAttemptStore as attempts } from "../limits/postgres-attempt-store";
import { postgresPersonStore } from "../people/store/postgres-person-store";
import type { ExchangeDeps, SignInSettings } from "./exchange-token";
import { postgresSignInStore } from "./store/postgres-sign-in-store";

/** What signing in needs, where a provider is configured. */
export function createSignIn(
  settings: SignInSettings | undefined,
  { pool, gather, clock, log }: { pool: Pool; gather: GatherRecord; clock: Clock; log: Log },
): ExchangeDeps | undefined {
  if (!settings) return undefined;
  const verifyIdToken = createIdTokenVerifier({ ...settings, clock, log });
  const stores = { people: postgresPersonStore, signIns: postgresSignInStore };
  return { pool, attempts, gather, ...stores, settings, verifyIdToken };
}
