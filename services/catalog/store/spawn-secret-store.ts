import type { Tx } from "../../../lib/postgres/db";
import type { Caller } from "../audit";

/** A sealed spawn-time secret. */
export interface SealedSpawnSecret {
  id: string;
  name: string;
  sealed: Buffer;
  sizeBytes: number;
}

/** Spawn-time secrets, which wait for their agent's first snapshot. */
export interface SpawnSecretStore {
  /**
   * Replaces what waits for an agent. Returns when the lease ends; undefined when the agent has a
   * generation, or is over: then nothing is done.
   */
  replace(
    tx: Tx,
    caller: Caller,
    agentId: string,
    secrets: { dataKeyId: string; sealed: readonly SealedSpawnSecret[] },
  ): Promise<Date | undefined>;
}
