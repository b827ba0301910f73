import type { Db } from "../../../lib/postgres/db";
import type { Caller } from "../audit";
import type { SealedVersion } from "../store/version-store";

/** A successor that was sealed for a secret. */
export interface StagedCredential {
  stagedId: string;
  secretName: string;
  /** Of the secret when it was staged; 0: there was none. */
  currentVersion: bigint;
  sealed: SealedVersion;
  sizeBytes: number;
  developer: string;
  apiKeyId: string | undefined;
}

/** A tenant secret as it stands. */
export interface CurrentSecret {
  version: bigint;
  /** Undefined while it is deleted. */
  sealed: SealedVersion | undefined;
}

/** Versions of a tenant secret, from one and below another, and these besides. */
export interface VersionRange {
  secretName: string;
  from: bigint;
  below: bigint;
  alsoIds: readonly string[];
}

/** A living agent's generations that are kept and pin one of the versions. */
export interface GenerationHolder {
  agentId: string;
  generations: bigint[];
}

export type StoreOutcome =
  | { kind: "stored"; version: bigint; sealed: SealedVersion | undefined }
  | { kind: "not-found" }
  | { kind: "version-conflict"; secretName: string; version: bigint }
  /** Another secret fills the same environment variable. */
  | { kind: "variable-taken"; secretName: string };

/** Tenant secrets as carriers of credentials. */
export interface CredentialSecretStore {
  findCurrent(tenantId: string, secretName: string): Promise<CurrentSecret | undefined>;
  /** The version that the secret had, when this was stored already. */
  findStored(tenantId: string, stagedId: string): Promise<bigint | undefined>;
  /** In place of an earlier one of this id that was not stored. */
  stage(tenantId: string, staged: StagedCredential): Promise<void>;
  /** Writes the secret's next version if it is as it was when this was staged. */
  store(caller: Caller, stagedId: string): Promise<StoreOutcome>;
  /** The version as which it was stored, which is known for 8 days more once settled; undefined: it is gone. */
  discard(tenantId: string, stagedId: string, isSettled: boolean): Promise<bigint | undefined>;
  /** Sealed versions from `below` on that are of this size, newest first, at most a hundred. */
  listNewer(
    db: Db,
    tenantId: string,
    which: { secretName: string; below: bigint; sizeBytes: number },
  ): Promise<SealedVersion[]>;
  /** Who holds them. With `retired` it is set, and no snapshot is made meanwhile. */
  findHolders(
    tenantId: string,
    range: VersionRange,
    retired: boolean | undefined,
  ): Promise<{ holders: GenerationHolder[]; hadAgentIds: string[] }>;
}
