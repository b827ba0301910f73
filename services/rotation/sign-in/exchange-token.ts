import { createHash } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import type { GatherRecord } from "../../../lib/audit/audit";
import { AppError, invalid, unauthenticated } from "../../../lib/errors";
import type { IdToken } from "../../../lib/identity/oidc/id-token";
import type { Role } from "../../../lib/identity/principal";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Sensitive } from "../../../lib/sensitive";
import { type AuditEntry, writeAudit } from "../audit";
import { networkOf } from "../limits/address";
import { type AttemptLimit, type AttemptStore, tooManyAttempts } from "../limits/attempt-limit";
import type { KnownPerson, PersonRef, PersonStore } from "../people/store/person-store";
import { developerOf, type Naming, type SignedIn } from "./domain/developer-of";
import type { SignInStore } from "./store/sign-in-store";

/** How people sign in with an OpenID provider. */
export interface SignInSettings {
  issuer: string;
  /** A public client of the provider's, which may use the device flow. */
  clientId: string;
  scopes: readonly string[];
  naming: Naming;
  /** Who has an address in the configured domain and was never there comes in so; undefined: nobody does. */
  newcomers: { tenantId: string; role: Role } | undefined;
  /** How long a sign-in lasts: token renewals end then. */
  sessionSeconds: number;
}

export interface ExchangeDeps {
  pool: Pool;
  attempts: AttemptStore;
  gather: GatherRecord;
  people: PersonStore;
  signIns: SignInStore;
  settings: SignInSettings;
  /** Throws UNAUTHENTICATED unless the provider has just made it, for our client. */
  verifyIdToken: (token: Sensitive<string>) => Promise<IdToken>;
}

export interface ExchangeRequest {
  idToken: Sensitive<string>;
  /** Empty: the one tenant that the person is in. */
  tenantId: string;
  /** Whose hash the token has as its nonce, where it has one. */
  nonceSecret: Sensitive<string>;
  peer: string;
}

/** Somebody who is in a tenant and has proven it. */
export interface Exchanged {
  ref: PersonRef;
  role: Role;
  /** Seconds since the epoch, by the database's clock. */
  nowSeconds: number;
  /** The first second in which a token counts: later than now when they were just added again. */
  firstIssuedAt: number;
}

/** An office behind one address signs in together; whoever tries tokens out does it more often. */
const LIMIT: AttemptLimit = { name: "sign-in", max: 60, windowSeconds: 900 };

/**
 * Finds the person whom an ID token names, once for each token. Throws UNAUTHENTICATED, the same for every
 * cause, for a token that is not good, not the caller's or used before; NOT_IN_TENANT for a stranger;
 * TOO_MANY_ATTEMPTS, before anything is looked at, beyond 60 attempts from one address in 15 minutes.
 */
export async function exchangeToken(
  deps: ExchangeDeps,
  request: ExchangeRequest,
): Promise<Exchanged> {
  const from = { tenantId: "", subject: networkOf(request.peer) };
  const waitMs = await deps.attempts.take(deps.pool, LIMIT, from);
  if (waitMs !== undefined) {
    deps.gather({
      ...{ tenantId: "", kind: "unknown", id: "", peer: request.peer, action: "identity.sign-in" },
      ...{ objectKind: "person", objectId: "", outcome: "refused", detail: { limit: LIMIT.name } },
    });
    throw tooManyAttempts(LIMIT, "Too many sign-ins (max 60 per 15 minutes)", waitMs);
  }
  const token = await deps.verifyIdToken(request.idToken);
  assertOwn(token, request.nonceSecret);
  const who = developerOf(token.claims, deps.settings.naming);
  const tenantId = await chooseTenant(deps, request.tenantId, who);
  const ref = { tenantId, developer: who.developer };
  const digest = createHash("sha256").update(signedPart(request.idToken)).digest();
  return withTransactionRetry(deps.pool, async (tx) => {
    const { person, entries } = await findPerson(deps, tx, ref, who);
    const used = { digest, expiresAtMs: token.expiresAtMs };
    if (!(await deps.signIns.useOnce(tx, tenantId, used))) throw unauthenticated();
    const identity = JSON.stringify([token.issuer, token.subject]);
    if ((await deps.signIns.bind(tx, ref, identity)) !== identity) throw somebodyElse(ref);
    const caller = { tenantId, kind: "developer", id: ref.developer, peer: request.peer } as const;
    await writeAudit(tx, caller, [...entries, entry("identity.sign-in", ref)]);
    const nowSeconds = await deps.signIns.nowSeconds(tx);
    const firstIssuedAt = Math.max(nowSeconds, (person.tokensAfter ?? 0) + 1);
    return { ref, role: person.role, nowSeconds, firstIssuedAt };
  });
}

/** Without the signature, which has more than one spelling. */
function signedPart(idToken: Sensitive<string>): string {
  const text = idToken.expose();
  return text.slice(0, text.lastIndexOf("."));
}

/** A token that was taken on its way is worth nothing without what its nonce was made of. */
function assertOwn({ nonce }: IdToken, secret: Sensitive<string>): void {
  const made = createHash("sha256").update(secret.expose()).digest("base64url");
  if (nonce !== undefined && nonce !== made) throw unauthenticated();
}

async function chooseTenant(
  { pool, signIns, settings: { newcomers } }: ExchangeDeps,
  wanted: string,
  { developer, isOfDomain }: SignedIn,
): Promise<string> {
  if (wanted !== "") return wanted;
  const tenants = await signIns.tenantsOf(pool, developer);
  const [only = isOfDomain ? newcomers?.tenantId : undefined] = tenants;
  if (only === undefined) throw notInTenant(developer);
  if (tenants.length < 2) return only;
  throw invalid("tenant_id", `${developer} is in several tenants, name one: ${tenants.join(", ")}`);
}

async function findPerson(
  { people, settings: { newcomers } }: ExchangeDeps,
  tx: Tx,
  ref: PersonRef,
  { isOfDomain }: SignedIn,
): Promise<{ person: KnownPerson; entries: AuditEntry[] }> {
  const isNewcomer = isOfDomain && newcomers?.tenantId === ref.tenantId;
  const as = { role: newcomers?.role ?? ("member" as const), addedBy: "" };
  const added = isNewcomer ? await people.insert(tx, ref, as) : undefined;
  const person = await people.lock(tx, ref);
  if (!person || person.isRemoved) throw notInTenant(ref.developer);
  const detail = { role: as.role, via: "sign-in" };
  return { person, entries: added ? [{ ...entry("person.introduce", ref), detail }] : [] };
}

/** The same for a tenant that is not there. */
function notInTenant(developer: string): AppError {
  return new AppError({
    code: "PERMISSION_DENIED",
    reason: ErrorReason.ERROR_REASON_NOT_IN_TENANT,
    message: `${developer} is not in the tenant`,
    metadata: { developer },
  });
}

function somebodyElse({ developer }: PersonRef): AppError {
  return new AppError({
    code: "PERMISSION_DENIED",
    reason: ErrorReason.ERROR_REASON_NAME_CHANGED_HANDS,
    message: `${developer} has signed in as somebody else of the identity provider before`,
    metadata: { developer },
  });
}

function entry(action: string, { developer }: PersonRef): AuditEntry {
  return { action, objectKind: "person", objectId: developer, outcome: "ok" };
}
