/** A snapshot that no committed desired generation confirmed is removed after this long. */
export const SNAPSHOT_EXPIRY_MS = 60 * 60 * 1000;

/** Spawn-time secrets wait this long for the agent that they were given for. */
export const SPAWN_SECRET_LEASE_MS = 10 * 60 * 1000;

/** Whether a snapshot was left behind by a rekey or spawn that was never committed. */
export function isSnapshotExpired<G extends number | bigint>(
  snapshot: { generation: G; takenAtMs: number },
  confirmedThrough: G | undefined,
  nowMs: number,
): boolean {
  const confirmed = confirmedThrough !== undefined && snapshot.generation <= confirmedThrough;
  return !confirmed && nowMs - snapshot.takenAtMs >= SNAPSHOT_EXPIRY_MS;
}

/**
 * Whether spawn-time secrets were left behind by a spawn that never came. The agent's first
 * snapshot confirms them: it is taken after the agent's row was committed.
 */
export function isSpawnLeaseOver(
  lease: { givenAtMs: number; confirmed: boolean },
  nowMs: number,
): boolean {
  return !lease.confirmed && nowMs - lease.givenAtMs >= SPAWN_SECRET_LEASE_MS;
}
