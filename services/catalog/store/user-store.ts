import type { PageQuery } from "../../../lib/page";
import type { Caller } from "../audit";
import type { User } from "../domain/user";

/** A profile on its way to the store. */
export interface UserRecord {
  name: string;
  githubTokenSecret: string | undefined;
  expectedRevision: bigint | undefined;
}

export type UserWriteOutcome =
  | { kind: "written"; user: User; isSecretMissing: boolean }
  /** The current revision, 0 when there is none, is not the expected one. */
  | { kind: "revision-conflict"; revision: bigint };

/** Developers' profiles. Each write is one statement with its audit row. */
export interface UserStore {
  write(caller: Caller, record: UserRecord): Promise<UserWriteOutcome>;
  /** Whether there was one. */
  delete(caller: Caller, name: string): Promise<boolean>;
  find(tenantId: string, name: string): Promise<User | undefined>;
  /** By name; one row more than the limit when there are more. */
  list(tenantId: string, query: PageQuery): Promise<User[]>;
}
