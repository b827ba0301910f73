/** One time at which a tenant's data keys are wrapped again under the newest key-encryption key. */
export interface KeyRotation {
  tenantId: string;
  /** Counts up within the tenant. */
  number: bigint;
  requestedBy: string;
  /** Whether a newer key-encryption key was made for it. */
  madeKey: boolean;
  startedAt: Date;
  /** Undefined: under way. */
  finishedAt: Date | undefined;
  /** How many were wrapped. */
  dataKeys: number;
  /** How many did not open, and stay as they are. */
  damagedDataKeys: number;
  /** How long ago it began, by the database's clock. */
  ageMs: number;
}
