import type { Sensitive } from "../../../lib/sensitive";
import type { DataKey } from "../domain/data-key";
import { fingerprintKeyOf, fingerprintOf } from "../domain/environment";
import { changedNames, type SecretRef } from "../domain/environment-set";
import { generationMac } from "../domain/generation-mac";
import type { LockedAgent, NewGeneration, StoredSnapshot } from "../store/snapshot-store";
import type { AgentToSnapshot, ComposedSet, Composition } from "./compose-snapshot";

export interface FreshGenerationsInput {
  tenantId: string;
  /** The tenant's current data key. */
  key: DataKey;
  locked: ReadonlyMap<string, LockedAgent>;
  /** The sets of the generations before, by id in hexadecimal. */
  sets: ReadonlyMap<string, readonly SecretRef[]>;
  /** The digests of the new sets. */
  digests: ReadonlyMap<string, Sensitive<Buffer>>;
}

/** What is stored of new generations, and what their caller is told. */
export interface FreshGenerations {
  generations: NewGeneration[];
  sets: Map<string, readonly SecretRef[]>;
  snapshots: StoredSnapshot[];
}

export type ComposedAgent = Composition & { agent: AgentToSnapshot };

/** Numbers, signs and fingerprints composed sets. Agents with the same change share its list. */
export function toGenerations(
  input: FreshGenerationsInput,
  composed: readonly ComposedAgent[],
): FreshGenerations {
  const fingerprintSubkey = input.key.subkey("fingerprint");
  const diff = createDiff(input.sets);
  const result: FreshGenerations = { generations: [], sets: new Map(), snapshots: [] };
  for (const one of composed) {
    const { agent, set } = one;
    const locked = input.locked.get(agent.agentId);
    const digest = input.digests.get(set.hexId);
    if (!locked || !digest) throw new Error("every agent is locked and every set has a digest");
    const generation = toGeneration(input, one, locked);
    const fingerprintKey = fingerprintKeyOf(fingerprintSubkey, agent.agentId, locked.generation);
    result.generations.push(generation);
    result.sets.set(set.hexId, set.refs);
    result.snapshots.push({
      agentId: agent.agentId,
      generation: String(locked.generation),
      fingerprint: fingerprintOf(fingerprintKey, generation, digest).toString("hex"),
      isUnchanged: locked.setId?.equals(set.id) ?? false,
      changedNames: diff(locked.setId?.toString("hex"), set),
      missingNames: [...one.missingNames],
      notRolledBackNames: [...one.notRolledBackNames],
    });
  }
  return result;
}

function toGeneration(
  { tenantId, key }: FreshGenerationsInput,
  { agent, set }: ComposedAgent,
  { generation, deliveredNames }: LockedAgent,
): NewGeneration {
  const { agentId, vmId, workspace } = agent;
  const has = new Set(set.variables);
  const unsetNames = deliveredNames.filter((name) => !has.has(name));
  const facts = { tenantId, agentId, generation, vmId, setId: set.id, unsetNames };
  return {
    ...{ agentId, generation, workspace, vmId, setId: set.id, unsetNames },
    deliveredNames: [...set.variables, ...unsetNames].sort(),
    mac: generationMac(key, facts),
  };
}

/** Names that changed from a set to another, worked out once for each pair. */
function createDiff(sets: ReadonlyMap<string, readonly SecretRef[]>) {
  const known = new Map<string, string[]>();
  return (from: string | undefined, to: ComposedSet): string[] => {
    const pair = `${from ?? ""} ${to.hexId}`;
    const names = known.get(pair) ?? changedNames(sets.get(from ?? "") ?? [], to.refs);
    known.set(pair, names);
    return names;
  };
}
