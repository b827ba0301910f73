import type { DataKey } from "./data-key";
import { macOf } from "./envelope";

/** What a generation's row says, and its MAC covers. */
export interface GenerationFacts {
  tenantId: string;
  agentId: string;
  generation: bigint;
  vmId: string;
  setId: Buffer;
  unsetNames: readonly string[];
}

/**
 * Proves that this service wrote a generation's row: who can write to the database still cannot
 * have a set delivered to another VM.
 */
export function generationMac(key: DataKey, facts: GenerationFacts): Buffer {
  const { tenantId, agentId, generation, vmId, setId, unsetNames } = facts;
  const head = ["generation-v1", tenantId, agentId, String(generation), vmId];
  return macOf(key.subkey("snapshot-mac"), [...head, setId, ...unsetNames]);
}
