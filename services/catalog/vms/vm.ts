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

const VM_ID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** Whether a text is an id as the register makes them: one that cannot be is never asked for. */
export function isVmId(text: string): boolean {
  return VM_ID.test(text);
}
