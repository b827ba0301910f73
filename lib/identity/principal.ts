/** Roles in order: each may do what the ones before it may (behaviour, section 10). */
export const ROLES = ["member", "admin", "owner"] as const;
export type Role = (typeof ROLES)[number];

/** A person, by identity token. */
export interface DeveloperPrincipal {
  kind: "developer";
  tenantId: string;
  /** `provider/username`. */
  id: string;
  role: Role;
  /** When the first token of this chain of renewals was issued, seconds since the epoch. */
  firstIssuedAt: number;
  expiresAt: Date;
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

/** Who makes a call. Every query and cache key carries its `tenantId`. */
export type Principal = DeveloperPrincipal | VmPrincipal | ServicePrincipal;

/** Whether `role` may do what `needed` may. */
export function hasRole(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}
