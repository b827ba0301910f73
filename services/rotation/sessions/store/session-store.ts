import type { PageQuery } from "../../../../lib/page";
import type { Role } from "../../../../lib/identity/principal";
import type { Db, Tx } from "../../../../lib/postgres/db";
import type { Session } from "../domain/session";

/** Whose sessions. */
export interface OwnerRef {
  tenantId: string;
  owner: string;
}

/** What a new session is made of. */
export interface NewSession extends OwnerRef {
  id: string;
  hash: Buffer;
  prefix: string;
  role: Role;
  scopes: readonly string[];
  /** Undefined: an identity token. */
  apiKeyId: string | undefined;
  /** When what it is made with ends by itself. */
  makerExpiresAt: Date | undefined;
  madeFrom: string;
  userAgent: string;
  /** How long it lasts at most. */
  maxSeconds: number;
}

/**
 * Sessions that have not ended, by the database's clock. They are credentials: verified, remembered and ended
 * with their owner and their API key where those are.
 */
export interface SessionStore {
  insert(tx: Tx, session: NewSession): Promise<Session>;
  find(db: Db, owner: OwnerRef, id: string): Promise<Session | undefined>;
  /** Newest first, one more than the page's limit. */
  list(db: Db, owner: OwnerRef, page: PageQuery): Promise<Session[]>;
  /** Ends one, or all of the owner's (undefined); returns their ids. */
  end(tx: Tx, owner: OwnerRef, id: string | undefined): Promise<string[]>;
  /** Removes at most `limit` of those that are long over; returns how many. */
  prune(db: Db, limit: number): Promise<number>;
}
