/** One kept snapshot (or one being taken) that holds the version in question. */
export interface HoldingSnapshot {
  agentId: string;
  /** Absent while the snapshot is being taken. */
  generation: number | undefined;
}

/**
 * Who may still use a secret's version: every agent with a kept snapshot of it that its VM has or
 * can still get, which is any from the applied one upward. An agent of which nothing is known to be
 * applied (never acked, rebooted, spawned since) may have any. `applied` has an entry for each
 * agent that is known to have acked; agents that ended keep no snapshot.
 */
export function holdersOf(
  snapshots: readonly HoldingSnapshot[],
  applied: Readonly<Record<string, number | undefined>>,
): string[] {
  const holders = snapshots
    .filter(({ agentId, generation }) => (generation ?? Infinity) >= (applied[agentId] ?? 0))
    .map(({ agentId }) => agentId);
  return [...new Set(holders)].sort();
}

/**
 * Whether the old version may be ended on evidence. The gate is the holders, in every workspace and
 * in the transaction that ends it; the acks of one rollout are no evidence.
 */
export function mayEndVersion(holders: readonly string[]): boolean {
  return holders.length === 0;
}
