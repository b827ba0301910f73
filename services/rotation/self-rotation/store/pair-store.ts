import type { Db, Tx } from "../../../../lib/postgres/db";
import type { CredentialState } from "../../credentials/domain/credential";
import type { AgentRef } from "../domain/registered-agent";

/** A new token with its rotation secret, as they are kept. */
export interface NewPair {
  id: string;
  hash: Buffer;
  prefix: string;
  secretHash: Buffer;
}

/** What is known of an agent token that was presented. */
export interface PresentedToken {
  tenantId: string;
  id: string;
  state: CredentialState;
  /** Whether a token came after it. */
  isReplaced: boolean;
  firstUsedAt: Date | undefined;
  /** Undefined: of a token that was made without. */
  secretHash: Buffer | undefined;
  /** Undefined: of a token that was made for an agent that did not register. */
  agent: { id: string; name: string; isRevoked: boolean } | undefined;
}

/** Which pairs stay valid beside a new one, and for how long at most. */
export interface Kept {
  /** "all" that are valid; of an empty list none. */
  ids: readonly string[] | "all";
  /** Undefined: for as long as the new one is not used, unless `capOlder` says otherwise. */
  seconds: number | undefined;
}

/**
 * The pairs of registered agents: their tokens are credentials like others, each with its rotation
 * secret. What writes is done under the lock of the agent's row.
 */
export interface PairStore {
  /** By the hash of a token's value. */
  findPresented(db: Db, hash: Buffer): Promise<PresentedToken | undefined>;
  /** Makes the agent's newest pair and ends those before it, but for those that are kept for a while. */
  insert(tx: Tx, agent: AgentRef, pair: NewPair, kept: Kept): Promise<void>;
  /** Ends those before a token after so many seconds at the latest. */
  capOlder(tx: Tx, agent: AgentRef, id: string, seconds: number): Promise<void>;
  endAll(tx: Tx, agent: AgentRef): Promise<void>;
  /** Notes the first use of a valid token and ends the pairs before it; false when it is not the first. */
  confirm(tx: Tx, agent: AgentRef, id: string): Promise<boolean>;
}
