/** Roles in order: each may do what the ones before it may (behaviour, section 10). */
export const ROLES = ["member", "admin", "owner"] as const;
export type Role = (typeof ROLES)[number];

/** A person, by identity token, by one of their API keys, or by a session that they made with either. */
export interface DeveloperPrincipal {
  kind: "developer";
  tenantId: string;
  /** `provider/username`. */
  id: string;
  role: Role;
  /** By identity token: when the first of its chain of renewals was issued, seconds since the epoch. */
  firstIssuedAt: number | undefined;
  /** By identity token from a sign-in: when that is over, seconds since the epoch. */
  renewableUntil?: number;
  /** Undefined: an API key without an end. */
  expiresAt: Date | undefined;
  /**
   * By API key, or by a session that was made with one: which, and what it may be used for (none: all that
   * the role may).
   */
  apiKey?: { id: string; scopes: readonly string[] };
  /** By session: which, and when what it was made with ends by itself; undefined: never. */
  session?: { id: string; makerExpiresAt: Date | undefined };
}

/** An agent, by its token. */
export interface AgentPrincipal {
  kind: "agent";
  tenantId: string;
  /** Its name. */
  id: string;
  tokenId: string;
  /** The developer whose token it is: what agent that name means is theirs to say. */
  owner: string;
}

/** A machine: its token was accepted together with a proof by its identity key. */
export interface VmPrincipal {
  kind: "vm";
  tenantId: string;
  id: string;
  name: string;
  /** RFC 7638-style thumbprint of the identity key that signed the proof. */
  keyThumbprint: string;
}

/** Another service of the product, acting within one tenant. */
export interface ServicePrincipal {
  kind: "service";
  tenantId: string;
  id: string;
}

/** Who runs the installation: of no tenant, and let into none. */
export interface OperatorPrincipal {
  kind: "operator";
  /** Of the installation's own records. */
  tenantId: "";
  /** `provider/username`. */
  id: string;
  expiresAt: Date;
}

/** Who makes a call. Every query and cache key carries its `tenantId`. */
export type Principal =
  DeveloperPrincipal | OperatorPrincipal | AgentPrincipal | VmPrincipal | ServicePrincipal;

/** Whether `role` may do what `needed` may. */
export function hasRole(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}
