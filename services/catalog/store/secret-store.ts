import type { Caller } from "../audit";
import type { Secret, SecretHistoryEntry, SecretPath } from "../domain/secret";
import type { PageQuery } from "../../../lib/page";

/** A sealed value on its way to the store. */
export interface SealedWrite extends SecretPath {
  versionId: string;
  dataKeyId: string;
  sealed: Buffer;
  sizeBytes: number;
  description: string | undefined;
  expectedVersion: bigint | undefined;
  /** Undefined keeps what the secret has. */
  asFile: boolean | undefined;
  /** The value is not UTF-8: the write is refused unless it ends up as a file. */
  needsFile: boolean;
  /** Absent when the call may not be repeated. */
  request: { id: string; bodyHash: Buffer } | undefined;
}

/** What became of a write. */
export type WriteOutcome =
  | { kind: "written"; secret: Secret }
  /** The current version, 0 when there is none, is not the expected one. */
  | { kind: "version-conflict"; version: bigint }
  | { kind: "needs-file" }
  /** Another secret fills the same environment variable. */
  | { kind: "variable-taken" }
  /** A write with this request id was done before. */
  | { kind: "repeated"; dataKeyId: string; bodyHash: Buffer; secret: Secret };

export type DeleteOutcome =
  { kind: "deleted" } | { kind: "not-found" } | { kind: "version-conflict"; version: bigint };

/** Tenant and developer secrets and their versions. Each write is one statement with its audit row. */
export interface SecretStore {
  write(caller: Caller, write: SealedWrite): Promise<WriteOutcome>;
  delete(caller: Caller, path: SecretPath, expectedVersion?: bigint): Promise<DeleteOutcome>;
  find(tenantId: string, path: SecretPath): Promise<Secret | undefined>;
  /** Those of one owner, by name; one row more than the limit when there are more. */
  list(tenantId: string, owner: string, query: PageQuery): Promise<Secret[]>;
  /** Those of all developers, by owner and name, after a path; one row more than the limit. */
  listOfUsers(
    tenantId: string,
    page: { limit: number; after: SecretPath | undefined },
  ): Promise<Secret[]>;
  /** Newest first, below `before`; empty when the name never existed. */
  history(
    tenantId: string,
    path: SecretPath,
    page: { limit: number; before: bigint | undefined },
  ): Promise<SecretHistoryEntry[]>;
}
