import type { Tx } from "../../../lib/postgres/db";
import type { Sensitive } from "../../../lib/sensitive";
import { EnvelopeBroken } from "../domain/envelope";
import { digestOf } from "../domain/environment";
import type { ComposedSet } from "./compose-snapshot";
import type { OpenKeys } from "./open-keys";
import type { OpenSets, SetToOpen } from "./open-sets";
import { tampered } from "./snapshot-errors";

/** A set and an agent that is to have it. */
export interface SetOfAgent {
  agent: { agentId: string };
  set: ComposedSet;
}

/** Digests of sets (EnvironmentSet.fingerprint_key), by set id in hexadecimal. */
export interface SetDigests {
  /** Opens the values of sets that this replica does not know yet. Throws TAMPERED. */
  of(
    tx: Tx,
    tenant: { tenantId: string; keys: OpenKeys },
    sets: readonly SetOfAgent[],
  ): Promise<ReadonlyMap<string, Sensitive<Buffer>>>;
}

const MAX_REMEMBERED = 10_000;

/** SetDigests that remembers: a set never changes under its id. */
export function createSetDigests(openSets: OpenSets): SetDigests {
  const remembered = new Map<string, Sensitive<Buffer>>();
  return {
    async of(tx, { tenantId, keys }, sets) {
      const result = new Map<string, Sensitive<Buffer>>();
      const unknown = new Map<string, SetToOpen>();
      for (const { agent, set } of sets) {
        const digest = remembered.get(`${tenantId}\0${set.hexId}`);
        if (digest) result.set(set.hexId, digest);
        else unknown.set(set.hexId, toSet(tenantId, agent, set));
      }
      if (unknown.size > 1) await openSets.prefetch(tx, tenantId, [...unknown.values()]);
      for (const [hexId, set] of unknown) {
        const digest = await digestOrTampered(openSets, tx, set, keys);
        if (remembered.size >= MAX_REMEMBERED) remembered.clear();
        remembered.set(`${tenantId}\0${hexId}`, digest);
        result.set(hexId, digest);
      }
      return result;
    },
  };
}

function toSet(tenantId: string, { agentId }: { agentId: string }, set: ComposedSet): SetToOpen {
  return { tenantId, agentId, setId: set.hexId, refs: set.refs };
}

async function digestOrTampered(
  openSets: OpenSets,
  tx: Tx,
  set: SetToOpen,
  keys: OpenKeys,
): Promise<Sensitive<Buffer>> {
  try {
    const variables = await openSets.open(tx, set, keys);
    if (variables) return digestOf(variables);
  } catch (error) {
    if (error instanceof EnvelopeBroken) throw tampered(set.agentId, error);
    throw error;
  }
  // A current secret points to a version that is not there.
  throw tampered(set.agentId);
}
