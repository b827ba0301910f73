/** One kept snapshot of an agent, or one that is being taken. */
export interface KeptSnapshot {
  agentId: string;
  /** Absent while the snapshot is being taken. */
  generation: number | undefined;
  /** Whether it pins the version in question. */
  holds: boolean;
}

/** Where a living agent is and where it should be, as rotation knows it. */
export interface Whereabouts {
  applied: number | undefined;
  desired: number | undefined;
}

/**
 * Who may still use a secret's version, sorted: every agent with a kept snapshot of it that its VM
 * has or can still get, which is any from the applied one upward. An agent of which nothing is
 * known to be applied (never acked, rebooted, spawned since) may have any. One of which a snapshot
 * between applied and desired is not kept (it expired before it was confirmed) cannot be told, and
 * so may use it too.
 *
 * `kept` are all snapshots of all agents, `living` has an entry for each living agent.
 */
export function holdersOf(
  kept: readonly KeptSnapshot[],
  living: Readonly<Record<string, Whereabouts>>,
): string[] {
  const holders = new Set<string>();
  for (const { agentId, generation = Infinity, holds } of kept) {
    if (holds && generation >= (living[agentId]?.applied ?? 0)) holders.add(agentId);
  }
  for (const [agentId, whereabouts] of Object.entries(living)) {
    const own = kept.filter((each) => each.agentId === agentId);
    if (!canBeTold(own, whereabouts)) holders.add(agentId);
  }
  return [...holders].sort();
}

/** Whether every generation that the agent's VM may be on is kept, and so known. */
function canBeTold(own: readonly KeptSnapshot[], { applied, desired }: Whereabouts): boolean {
  if (desired === undefined) return true;
  const generations = own.flatMap(({ generation }) => generation ?? []);
  const lowest = applied ?? Math.min(desired, ...generations);
  const known = generations.filter((each) => each >= lowest && each <= desired);
  return known.length === desired - lowest + 1;
}

/**
 * Whether the old version may be ended on evidence. The gate is the holders, in every workspace and
 * in the transaction that ends it; the acks of one rollout are no evidence.
 */
export function mayEndVersion(holders: readonly string[]): boolean {
  return holders.length === 0;
}
