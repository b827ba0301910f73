import type { Db } from "../../../lib/postgres/db";
import type { SecretRef } from "../domain/environment-set";

/** A generation as a VM asks for it. */
export interface FoundGeneration {
  agentId: string;
  generation: bigint;
  setId: Buffer;
  unsetNames: readonly string[];
  dataKeyId: string;
  mac: Buffer;
  floor: bigint;
  /** Thumbprint of the key that its VM holds now; undefined when the VM's rights have ended. */
  vmKeyThumbprint: string | undefined;
}

/** Generations on their way to VMs. */
export interface GenerationStore {
  /** Those that are bound to this VM, not below their floor, of agents that have not ended. */
  find(
    tenantId: string,
    vmId: string,
    refs: readonly { agentId: string; generation: bigint }[],
  ): Promise<FoundGeneration[]>;
  /** What sets hold, by id in hexadecimal. */
  readSets(
    db: Db,
    tenantId: string,
    setIds: readonly Buffer[],
  ): Promise<Map<string, readonly SecretRef[]>>;
}
