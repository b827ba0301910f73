import type { Db, Tx } from "../../../../lib/postgres/db";
import type { DeletionStage, TenantDeletion } from "../domain/tenant-deletion";

/** A deletion that a replica looks after for some seconds. */
export interface HeldDeletion {
  tenantId: string;
  stage: Exclude<DeletionStage, "done">;
  requestedBy: string;
  /** Whether removing may begin. */
  isDue: boolean;
}

/** What is done about tenants that are deleted. */
export interface DeletionStore {
  /** Writes down that a deletion is asked for; undefined: it was, by another request id. */
  ask(
    tx: Tx,
    wish: { tenantId: string; requestHash: Buffer; requestedBy: string },
  ): Promise<{ isNew: boolean } | undefined>;
  find(db: Db, requestHash: Buffer): Promise<TenantDeletion | undefined>;
  stageOf(db: Db, tenantId: string): Promise<DeletionStage | undefined>;
  /**
   * From `asked` to `ending`: ends memberships, keys, tokens and invitations, and the tenant itself. False
   * when it was done before.
   */
  end(tx: Tx, tenantId: string, purgeAfterMs: number): Promise<boolean>;
  /** From `ending` to `purging`; what still lives stays written down. */
  beginPurge(tx: Tx, tenantId: string): Promise<boolean>;
  finish(tx: Tx, tenantId: string): Promise<boolean>;
  /** Takes some on for a time in which no other replica does. */
  claim(db: Db, limit: number, holdMs: number): Promise<HeldDeletion[]>;
  letGo(db: Db, tenantId: string, forMs: number): Promise<void>;
  /** Roots of trees in which something lives of which nobody has asked the end. */
  findLivingTrees(db: Db, tenantId: string, limit: number): Promise<string[]>;
  /** Removes a bounded number of rows; 0 when nothing is left. */
  removeSome(db: Db, tenantId: string): Promise<number>;
}
