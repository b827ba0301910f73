/** Names and the version of each that one generation holds. */
export type Pins = Readonly<Record<string, number>>;

/** What the catalog knows of one secret name, over all its lives. */
export interface SecretState {
  /** The version that a new snapshot takes; absent while the name is deleted. */
  current: number | undefined;
  /** All versions up to this one belong to lives of the name that were ended by a deletion. */
  deletedThrough: number;
  /** Single versions that were revoked or destroyed. */
  revoked: readonly number[];
}

export type Secrets = Readonly<Record<string, SecretState>>;

/**
 * The steps of a snapshot, in this order, each its own statement of one READ COMMITTED transaction:
 * lock the agents' generation rows (and number the new generation), then read versions. A statement
 * sees what was committed when it began; versions read before or with the lock may be older than
 * those of a snapshot that held the lock meanwhile.
 */
export type SnapshotStep = "lock" | "read";
export const SNAPSHOT_STEPS: readonly SnapshotStep[] = ["lock", "read"];

/** The order in which rows are locked, so that two snapshots never wait for each other. */
export function lockOrder(agentIds: readonly string[]): string[] {
  return [...new Set(agentIds)].sort((a, b) => (a < b ? -1 : 1));
}

/** What a new generation holds: the current version of every name that lives. */
export function currentPins(secrets: Secrets): Pins {
  const pins: Record<string, number> = {};
  for (const [name, { current }] of Object.entries(secrets)) {
    if (current !== undefined) pins[name] = current;
  }
  return pins;
}

/** Whether a version may still be delivered: not deleted, not revoked. */
export function isVersionAlive(secret: SecretState | undefined, version: number): boolean {
  return (
    secret?.current !== undefined &&
    version > secret.deletedThrough &&
    !secret.revoked.includes(version)
  );
}
