import type { Db, Tx } from "../../../../lib/postgres/db";

/** An answer that was given. */
export interface StoredAnswer {
  requestHash: Buffer;
  sealed: Buffer;
}

/** Answers that may be asked for again, for 10 minutes. */
export interface SealedAnswerStore {
  /**
   * The answer to this request; undefined when it is new. It is this transaction's then: others with
   * the same wait until it ends, and find what `keep` has written.
   */
  claim(tx: Tx, tenantId: string, request: Buffer): Promise<StoredAnswer | undefined>;
  /** The answer to this request; undefined when there is none. Nobody waits for anybody. */
  find(db: Db, tenantId: string, request: Buffer): Promise<StoredAnswer | undefined>;
  /** Writes one that nobody has claimed. */
  put(tx: Tx, tenantId: string, request: Buffer, answer: StoredAnswer): Promise<void>;
  keep(tx: Tx, tenantId: string, request: Buffer, answer: StoredAnswer): Promise<void>;
  /** Removes those that are over, at most `limit`; how many they were. */
  prune(db: Db, limit: number): Promise<number>;
}
