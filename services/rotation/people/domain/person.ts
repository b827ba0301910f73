import type { Role } from "../../../../lib/identity/principal";

/** A developer in a tenant. */
export interface Person {
  tenantId: string;
  /** `provider/username`. */
  developer: string;
  role: Role;
  addedAt: Date;
  /** The developer who did; empty: an operator, by an identity token. */
  addedBy: string;
}
