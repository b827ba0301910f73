/** A registered agent. Its hash stays here: whoever has it could pass for whoever has the key. */
export interface BoundAgent {
  tenantId: string;
  id: string;
  /** Empty: unnamed. */
  name: string;
  /** The developer whose account claimed it; undefined: nobody did. */
  owner: string | undefined;
  /** Undefined: bound to no key. */
  hash: Buffer | undefined;
  /** The first characters of its key; empty: not known. */
  keyPrefix: string;
  createdAt: Date;
  /** Undefined: it has its first key. */
  rekeyedAt: Date | undefined;
  rekeyCount: number;
  observedAt: Date | undefined;
  /** Undefined: it is active. */
  deactivatedAt: Date | undefined;
  /** Undefined: it was not ended for good. */
  revokedAt: Date | undefined;
  history: AgentHistory;
  /** Of the tenant, in the order in which they were made. */
  sequence: bigint;
}

/** How much other systems keep under the agent's id. */
export interface AgentHistory {
  traces: bigint;
  scores: bigint;
  trustEdges: bigint;
}

/** Whether anything would be lost with the agent. */
export function hasHistory({ history, owner }: BoundAgent): boolean {
  const { traces, scores, trustEdges } = history;
  return owner !== undefined || traces + scores + trustEdges > 0n;
}
