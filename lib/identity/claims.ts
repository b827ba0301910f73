import { unauthenticated } from "../errors";
import type { Principal, Role } from "./principal";
import { ROLES } from "./principal";
import { PRODUCT_AUDIENCE, signToken, type VerifiedToken } from "./tokens";
import type { SigningKey } from "./signing-key";
import type { Clock } from "../clock";
import type { MayWait } from "../may-wait";

/** The services that each issuer may speak for: rotation for all, the others for themselves. */
const SERVICES_OF: Readonly<Record<string, readonly string[] | "all">> = {
  "murmur-rotation": "all",
  "murmur-catalog": ["catalog"],
  "murmur-gateway": ["gateway"],
};

/** Life of a service's token: one that was issued for longer does not count, whoever signed it. */
export const SERVICE_TTL_SECONDS = 60;

/** Who may issue what: a token of a kind counts only when its issuer signed it. */
export const ISSUERS = {
  developers: "murmur-rotation",
  vms: "murmur-catalog",
} as const;

export interface DeveloperTokenInit {
  tenantId: string;
  /** `provider/username`. */
  developer: string;
  role: Role;
  ttlSeconds: number;
  /** Seconds since the epoch; absent for a first token. */
  firstIssuedAt?: number;
  /** Seconds since the epoch at which renewals end; absent: only 90 days after the first token. */
  renewableUntil?: number;
  clock?: Clock;
}

/** Issues a developer's identity token. */
export function issueDeveloperToken(key: SigningKey, init: DeveloperTokenInit): Promise<string> {
  const { tenantId, developer, role, ttlSeconds, renewableUntil, clock } = init;
  const firstIssuedAt =
    init.firstIssuedAt ?? Math.floor((clock?.now().getTime() ?? Date.now()) / 1000);
  const claims = {
    knd: "developer",
    ten: tenantId,
    rol: role,
    fia: firstIssuedAt,
    rnu: renewableUntil,
  };
  return signToken(key, {
    subject: developer,
    audience: PRODUCT_AUDIENCE,
    ttlSeconds,
    claims,
    ...(clock && { clock }),
  });
}

/** Longest life of an operator's token: nobody can be asked whether its bearer is still one. */
export const OPERATOR_TTL_SECONDS = 12 * 3_600;

/** Issues an operator's token, which opens the installation's own audit and no tenant. */
export function issueOperatorToken(
  key: SigningKey,
  { operator, ttlSeconds }: { operator: string; ttlSeconds: number },
): Promise<string> {
  const claims = { knd: "operator" };
  return signToken(key, { subject: operator, audience: PRODUCT_AUDIENCE, ttlSeconds, claims });
}

export interface VmTokenInit {
  tenantId: string;
  vmId: string;
  name: string;
  /** Thumbprint of the identity key that has to sign each call. */
  keyThumbprint: string;
  ttlSeconds: number;
  clock?: Clock;
}

/** Issues a VM token; it is worth nothing without the identity key that it names. */
export function issueVmToken(key: SigningKey, init: VmTokenInit): Promise<string> {
  const { tenantId, vmId, name, keyThumbprint, ttlSeconds, clock } = init;
  const claims = { knd: "vm", ten: tenantId, nam: name, cnf: { jkt: keyThumbprint } };
  return signToken(key, {
    subject: vmId,
    audience: PRODUCT_AUDIENCE,
    ttlSeconds,
    claims,
    ...(clock && { clock }),
  });
}

/** Issues a service's token for one method of one callee within one tenant. */
export function issueServiceToken(
  key: SigningKey,
  init: { service: string; audience: string; tenantId: string; method: string; ttlSeconds: number },
): Promise<string> {
  const { service, audience, tenantId, method, ttlSeconds } = init;
  const claims = { knd: "service", ten: tenantId, mth: method };
  return signToken(key, { subject: service, audience, ttlSeconds, claims });
}

/** Turns a verified token into a principal; a VM also needs its proof's thumbprint to match. */
export function toPrincipal(
  token: VerifiedToken,
  method: string,
  verifyProof: () => Promise<string>,
): MayWait<Principal> {
  const { claims, subject, issuer, audience } = token;
  if (claims["knd"] === "operator") {
    if (issuer !== ISSUERS.developers || audience !== PRODUCT_AUDIENCE) throw unauthenticated();
    if (!livesAtMost(claims, OPERATOR_TTL_SECONDS)) throw unauthenticated();
    return { kind: "operator", tenantId: "", id: subject, expiresAt: new Date(token.expiresAtMs) };
  }
  const tenantId = text(claims["ten"]);
  switch (claims["knd"]) {
    case "developer": {
      const role = ROLES.find((known) => known === claims["rol"]);
      if (issuer !== ISSUERS.developers || audience !== PRODUCT_AUDIENCE || !role)
        throw unauthenticated();
      const firstIssuedAt = Number(claims["fia"]);
      const renewableUntil = claims["rnu"];
      return {
        kind: "developer",
        tenantId,
        id: subject,
        role,
        firstIssuedAt,
        ...(renewableUntil !== undefined && { renewableUntil: Number(renewableUntil) }),
        expiresAt: new Date(token.expiresAtMs),
      };
    }
    case "vm": {
      const keyThumbprint = text((claims["cnf"] as { jkt?: unknown } | undefined)?.jkt);
      if (issuer !== ISSUERS.vms || audience !== PRODUCT_AUDIENCE) throw unauthenticated();
      const name = text(claims["nam"]);
      return verifyProof().then((proven) => {
        if (proven !== keyThumbprint) throw unauthenticated();
        return { kind: "vm", tenantId, id: subject, name, keyThumbprint };
      });
    }
    case "service":
      if (!maySpeakFor(issuer, subject) || audience === PRODUCT_AUDIENCE) throw unauthenticated();
      if (claims["mth"] !== method || !livesAtMost(claims, SERVICE_TTL_SECONDS))
        throw unauthenticated();
      return { kind: "service", tenantId, id: subject };
    default:
      throw unauthenticated();
  }
}

function livesAtMost({ iat, exp }: VerifiedToken["claims"], seconds: number): boolean {
  return iat !== undefined && exp !== undefined && exp - iat <= seconds;
}

function maySpeakFor(issuer: string, service: string): boolean {
  const services = SERVICES_OF[issuer] ?? [];
  return services === "all" || services.includes(service);
}

function text(value: unknown): string {
  if (typeof value !== "string" || value === "") throw unauthenticated();
  return value;
}
