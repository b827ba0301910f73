/** One VM of the register. */
export interface Vm {
  tenantId: string;
  id: string;
  name: string;
  joinedAt: Date;
  /** When the catalog last heard from it. */
  lastSeenAt: Date;
}

/** A machine's identity key as the register keeps it. */
export interface IdentityKey {
  /** Ed25519, 32 bytes. */
  raw: Buffer;
  thumbprint: string;
}
