import type { PageQuery } from "../../../../lib/page";
import type { Db, Tx } from "../../../../lib/postgres/db";
import type { AgentRef, AutoRotationWish, RegisteredAgent } from "../domain/registered-agent";

/** What a new agent is made of; its first pair is inserted in the same transaction. */
export type NewAgent = Pick<RegisteredAgent, "tenantId" | "id" | "name" | "owner" | "role">;

/** A rotation by a VM. */
export interface DueRotation {
  agentId: string;
  name: string;
  /** 0: now. */
  dueInMs: number;
}

export interface ListRegisteredAgents {
  tenantId: string;
  /** Undefined: everybody's. */
  owner: string | undefined;
  includeRevoked: boolean;
  page: PageQuery;
}

/** Registered agents; their pairs are in PairStore. All times are the database's. */
export interface RegisteredAgentStore {
  /** False when one of that name is there that is not revoked: then the transaction has to be undone. */
  insert(tx: Tx, agent: NewAgent): Promise<boolean>;
  find(db: Db, ref: AgentRef): Promise<RegisteredAgent | undefined>;
  /** The one that is not revoked, else the latest. */
  findByName(db: Db, tenantId: string, name: string): Promise<RegisteredAgent | undefined>;
  /** Holds the row until the transaction ends: whatever changes an agent or its pairs takes it first. */
  lock(tx: Tx, ref: AgentRef): Promise<RegisteredAgent | undefined>;
  /** Newest first, one more than the page's limit. */
  list(db: Db, query: ListRegisteredAgents): Promise<RegisteredAgent[]>;
  revoke(tx: Tx, ref: AgentRef): Promise<void>;
  /** Those that a VM rotates for: their running agents live on it, and are the same developer's. */
  listDue(db: Db, tenantId: string, vmId: string): Promise<DueRotation[]>;
  /** The running agent on that VM that a VM rotates for. */
  findRunning(db: Db, ref: AgentRef, vmId: string): Promise<string | undefined>;
  /** Takes a rotation that is due, which is due again after so many seconds; false when it is not due. */
  takeDue(tx: Tx, ref: AgentRef, seconds: number): Promise<boolean>;
  /** The next one is due a period from now. */
  noteRotated(tx: Tx, ref: AgentRef): Promise<void>;
  /** Due at once; undefined: never. */
  setAutoRotation(tx: Tx, ref: AgentRef, wish: AutoRotationWish | undefined): Promise<void>;
  noteReuses(db: Db, ref: AgentRef, count: number): Promise<void>;
}
