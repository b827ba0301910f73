import type { Db } from "../../../lib/postgres/db";

/** The sealed value of one version of a secret. */
export interface SealedVersion {
  id: string;
  dataKeyId: string;
  sealed: Buffer;
}

/** Reads sealed versions by id; one that is gone or made unreadable is absent from the answer. */
export interface VersionStore {
  read(db: Db, tenantId: string, ids: readonly string[]): Promise<SealedVersion[]>;
}
