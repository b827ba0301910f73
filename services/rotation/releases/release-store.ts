import type { Phase } from "../protocol";

/** An agent of which the catalog has not heard what is still needed. */
export interface DueRelease {
  tenantId: string;
  agentId: string;
  phase: Phase;
  /** 0: none. */
  desired: bigint;
  applied: bigint;
  targets: { generation: bigint; source: bigint | undefined; rolloutOpen: boolean }[];
}

/** What the catalog still has to be told. */
export interface ReleaseStore {
  /** Takes some for this caller alone for ten seconds; another takes them if they are not settled. */
  claim(limit: number): Promise<DueRelease[]>;
  /**
   * Notes that the catalog has heard, and forgets fingerprints of generations that nobody can ack
   * any more. An agent that has changed since it was claimed is due again at once.
   */
  settle(released: readonly SettledRelease[]): Promise<void>;
}

export interface SettledRelease {
  tenantId: string;
  agentId: string;
  desired: bigint;
  applied: bigint;
  phase: Phase;
  floor: bigint;
}
