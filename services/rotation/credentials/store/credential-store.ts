import type { Db, Tx } from "../../../../lib/postgres/db";
import type { PageQuery } from "../../../../lib/page";
import type { CredentialKind } from "../../../../lib/identity/credential-value";
import type { Credential } from "../domain/credential";

/** What a new credential is made of. */
export interface NewCredential extends Pick<
  Credential,
  | "tenantId"
  | "id"
  | "kind"
  | "label"
  | "agentName"
  | "scopes"
  | "prefix"
  | "owner"
  | "role"
  | "secretName"
> {
  hash: Buffer;
  /** Undefined: never; a past one makes nothing. */
  expiresAt: Date | undefined;
  /** The id of the one that it comes after. */
  replaces: string | undefined;
}

export interface ListCredentials {
  tenantId: string;
  kind: CredentialKind | undefined;
  /** Undefined: everybody's. */
  owner: string | undefined;
  includeEnded: boolean;
  page: PageQuery;
}

/** Which credential, within its tenant. */
export interface CredentialRef {
  tenantId: string;
  id: string;
}

export interface FoundCredential {
  credential: Credential;
  /** Until its own end; undefined: it has none. Negative when it has ended. */
  validForMs: number | undefined;
}

/**
 * Credentials. All times are the database's: what is expired is decided by it, at each read, and
 * nothing has to run for it.
 */
export interface CredentialStore {
  /** Undefined when its expiry is not in the future. */
  insert(tx: Tx, credential: NewCredential): Promise<Credential | undefined>;
  find(db: Db, ref: CredentialRef): Promise<Credential | undefined>;
  /** Holds the row until the transaction ends. */
  lock(tx: Tx, ref: CredentialRef): Promise<Credential | undefined>;
  /** Newest first, one more than the page's limit; without sessions. */
  list(db: Db, query: ListCredentials): Promise<Credential[]>;
  /** Names the successor, and ends the credential after the grace period at the latest: 0, at once. */
  replace(tx: Tx, ref: CredentialRef, by: string, graceSeconds: number): Promise<Credential>;
  /** Names the successor, and leaves the credential as it is otherwise. */
  succeed(tx: Tx, ref: CredentialRef, by: string): Promise<Credential>;
  /** The reverse: the successor is revoked and is none any more. False when it was not its successor. */
  takeBack(tx: Tx, ref: CredentialRef, successorId: string): Promise<boolean>;
  /** SHA-256 of its value. */
  findHash(db: Db, ref: CredentialRef): Promise<Buffer | undefined>;
  /**
   * Ends it at `at`, at once when that is past or undefined; undefined when that is after its own end,
   * which stays as it is.
   */
  end(tx: Tx, ref: CredentialRef, at: Date | undefined): Promise<Credential | undefined>;
  /** Those of a tenant, or of all (undefined), that have these hashes, by their hash in base64. */
  findByHash(
    db: Db,
    tenantId: string | undefined,
    hashes: readonly Buffer[],
  ): Promise<ReadonlyMap<string, FoundCredential>>;
}
