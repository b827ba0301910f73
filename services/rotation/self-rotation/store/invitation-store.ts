import type { Role } from "../../../../lib/identity/principal";
import type { Db, Tx } from "../../../../lib/postgres/db";

/** Who let an agent register. */
export interface Inviter {
  tenantId: string;
  id: string;
  role: Role;
}

/** Invitations to register, each good once within 10 minutes, by their hash. */
export interface InvitationStore {
  /** Returns when it ends. */
  insert(tx: Tx, hash: Buffer, inviter: Inviter): Promise<Date>;
  /** Whoever's it is or was, spent or not. */
  find(db: Db, hash: Buffer): Promise<Inviter | undefined>;
  /** Whether it was good, and is now spent on this agent. */
  spend(tx: Tx, hash: Buffer, agentId: string): Promise<boolean>;
  /** Removes those that are long over, at most `limit`; how many they were. */
  prune(db: Db, limit: number): Promise<number>;
}
