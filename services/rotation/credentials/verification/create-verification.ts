import type { Clock } from "../../../../lib/clock";
import type { Log } from "../../../../lib/log";
import type { Db } from "../../../../lib/postgres/db";
import type { CredentialStore } from "../store/credential-store";
import { type ChangeFeed, createChangeFeed } from "./change-feed";
import { createCredentialLease, type CredentialLease } from "./credential-lease";
import { createCredentialLookup, type CredentialLookup } from "./credential-lookup";
import { createCredentialUses, type CredentialUses } from "./credential-uses";

/** What a replica has to verify credentials, and to know people, without asking the database each time. */
export interface Verification {
  lease: CredentialLease;
  lookup: CredentialLookup;
  uses: CredentialUses;
  /** For services that remember what they were answered. */
  feed: ChangeFeed;
}

export function createVerification(deps: {
  db: Db;
  credentials: CredentialStore;
  /** Of this replica, since it was started. */
  replicaId: string;
  clock: Clock;
  log: Log;
}): Verification {
  const lease = createCredentialLease(deps);
  return {
    lease,
    lookup: createCredentialLookup({ ...deps, lease }),
    uses: createCredentialUses(deps),
    feed: createChangeFeed({ ...deps, lease }),
  };
}
