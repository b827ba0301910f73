import type { PageQuery } from "../../../../lib/page";
import type { Db, Tx } from "../../../../lib/postgres/db";
import type { AgentHistory, BoundAgent } from "../domain/bound-agent";

/** Which agent, within its tenant. */
export interface BoundAgentRef {
  tenantId: string;
  id: string;
}

/** A key that was seen in use. */
export interface Observation {
  tenantId: string;
  hash: Buffer;
  /** Empty: unnamed. */
  name: string;
  /** Empty: not told. */
  keyPrefix: string;
}

export interface ListBoundAgents {
  tenantId: string;
  /** Undefined: everybody's and nobody's; null: nobody's. */
  owner: string | null | undefined;
  /** Undefined: of any name. */
  name: string | undefined;
  includeDeactivated: boolean;
  page: PageQuery;
}

/** Registered agents and their bindings. All times are the database's. */
export interface BindingStore {
  find(db: Db, ref: BoundAgentRef): Promise<BoundAgent | undefined>;
  /** Holds the row until the transaction ends. */
  lock(tx: Tx, ref: BoundAgentRef): Promise<BoundAgent | undefined>;
  findByHash(db: Db, tenantId: string, hash: Buffer): Promise<BoundAgent | undefined>;
  /** Newest first, one more than the page's limit. */
  list(db: Db, query: ListBoundAgents): Promise<BoundAgent[]>;
  /**
   * The agent that has the key; notes the time once a minute at most, and the prefix if none is known.
   * Undefined: no agent has it.
   */
  noteSeen(db: Db, observation: Observation): Promise<string | undefined>;
  /** A new unclaimed agent; undefined when another has the key by now. */
  insertShadow(tx: Tx, id: string, observation: Observation): Promise<BoundAgent | undefined>;
  /** Throws a unique violation of HASH_CONSTRAINT when another agent has the key. */
  rebind(tx: Tx, ref: BoundAgentRef, hash: Buffer, keyPrefix: string): Promise<BoundAgent>;
  /** Only if none is known, and the key is bound still. */
  fillPrefix(
    db: Db,
    ref: BoundAgentRef,
    key: { hash: Buffer; keyPrefix: string },
  ): Promise<BoundAgent | undefined>;
  claim(tx: Tx, ref: BoundAgentRef, owner: string): Promise<BoundAgent>;
  /** Frees the key. */
  deactivate(tx: Tx, ref: BoundAgentRef): Promise<BoundAgent>;
  /** Only upward. */
  addHistory(tx: Tx, ref: BoundAgentRef, history: AgentHistory): Promise<BoundAgent>;
}

/** One agent for a key and a name. */
export const HASH_CONSTRAINT = "registered_agents_hash";
