import type { Caller } from "../audit";

/** What is still needed of one agent. */
export interface GenerationRelease {
  agentId: string;
  /** Generations below are released. */
  floor: bigint;
  /** Generations up to this one no longer expire by themselves. */
  confirmed: bigint;
  /** The agent is over: nothing of it is needed. */
  hasEnded: boolean;
}

/** What ends by itself, each at most `limit` rows a call; the answers count what was removed. */
export interface ExpiryStore {
  /** Agents that were never snapshotted before their lease ended, with their secrets. */
  removeExpiredLeases(limit: number): Promise<number>;
  /** Generations that nobody confirmed within an hour. */
  removeUnconfirmed(limit: number): Promise<number>;
  /** Agents that ended, or were never confirmed, a week ago. */
  removeOldAgents(limit: number): Promise<number>;
  /** Sets that no generation refers to. */
  removeUnusedSets(limit: number): Promise<number>;
  /** Answers to requests that may not be repeated any more. */
  removeExpiredRequests(limit: number): Promise<number>;
  /** Successors of credentials that were not stored, and the memory of those that were. */
  removeStagedCredentials(limit: number): Promise<number>;
}

/** Generations that are not needed any more. */
export interface ReleaseStore {
  /** Never lowers a floor or takes back a confirmation; agents that are not known are passed over. */
  release(caller: Caller, releases: readonly GenerationRelease[]): Promise<void>;
}
