import type { Caller } from "../audit";

/** A living agent that has a secret, or one version of it. */
export interface SecretHolder {
  agentId: string;
  workspace: string;
}

export type RevokeOutcome = { kind: "revoked"; holders: SecretHolder[] } | { kind: "not-found" };

export type DestroyOutcome =
  | { kind: "destroyed"; holders: SecretHolder[] }
  | { kind: "not-found" | "version-not-found" }
  /** It is the current version, or agents hold it. */
  | { kind: "in-use"; isCurrent: boolean; holders: SecretHolder[] };

/** What ends tenant secrets for those who hold them. No snapshot is made meanwhile. */
export interface EndingStore {
  /** Deletes a secret, unless it is deleted already, and says who holds any version of it. */
  revoke(caller: Caller, name: string): Promise<RevokeOutcome>;
  /**
   * Removes the value of a version, and with `force` the secret if that is its current one, and every
   * generation that pins it. Again is no change.
   */
  destroy(
    caller: Caller,
    which: { name: string; version: bigint; force: boolean },
  ): Promise<DestroyOutcome>;
}
