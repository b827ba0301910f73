import type { Tx } from "../../../lib/postgres/db";
import type { Caller } from "../audit";

/** A sealed spawn-time secret. */
export interface SealedSpawnSecret {
  id: string;
  name: string;
  sealed: Buffer;
  sizeBytes: number;
}

/** Why spawn-time secrets were not replaced. */
export type NotReplaced = "spawned" | "stored-by-another";

/** Spawn-time secrets, which wait for their agent's first snapshot. */
export interface SpawnSecretStore {
  /**
   * Replaces what waits for an agent. Returns when the lease ends. Does nothing when the agent has a
   * generation or is over (`spawned`), or when another caller's secrets wait (`stored-by-another`).
   */
  replace(
    tx: Tx,
    caller: Caller,
    agentId: string,
    secrets: { dataKeyId: string; sealed: readonly SealedSpawnSecret[] },
  ): Promise<Date | NotReplaced>;
  /**
   * Writes newer versions of an agent's own secrets, and keeps a few before them for generations that
   * have them. Does nothing when the agent is over or has no generation: false.
   */
  supersede(
    tx: Tx,
    caller: Caller,
    agentId: string,
    secrets: { dataKeyId: string; sealed: readonly SealedSpawnSecret[] },
  ): Promise<boolean>;
}
