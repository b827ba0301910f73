import type { Tx } from "../../../lib/postgres/db";
import type { Sensitive } from "../../../lib/sensitive";
import { EnvelopeBroken } from "../domain/envelope";
import { digestOf } from "../domain/environment";
import type { SecretRef } from "../domain/environment-set";
import type { ComposedSet } from "./compose-snapshot";
import type { OpenKeys } from "./open-keys";
import { openSet, type OpenSetInput, type SealedValues } from "./sealed-values";
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
export function createSetDigests(values: SealedValues): SetDigests {
  const remembered = new Map<string, Sensitive<Buffer>>();
  return {
    async of(tx, { tenantId, keys }, sets) {
      const result = new Map<string, Sensitive<Buffer>>();
      const unknown = new Map<string, SetOfAgent>();
      for (const one of sets) {
        const { hexId } = one.set;
        const digest = remembered.get(`${tenantId}\0${hexId}`);
        if (digest) result.set(hexId, digest);
        else unknown.set(hexId, one);
      }
      const refs = distinctRefs([...unknown.values()]);
      const sealed = await values.load(tx, tenantId, refs);
      for (const [hexId, { agent, set }] of unknown) {
        const { agentId } = agent;
        const digest = digestOrTampered({ tenantId, agentId, refs: set.refs, sealed, keys });
        if (remembered.size >= MAX_REMEMBERED) remembered.clear();
        remembered.set(`${tenantId}\0${hexId}`, digest);
        result.set(hexId, digest);
      }
      return result;
    },
  };
}

function digestOrTampered(input: OpenSetInput): Sensitive<Buffer> {
  try {
    const variables = openSet(input);
    if (variables) return digestOf(variables);
  } catch (error) {
    if (error instanceof EnvelopeBroken) throw tampered(input.agentId, error);
    throw error;
  }
  // A current secret points to a version that is not there.
  throw tampered(input.agentId);
}

function distinctRefs(sets: readonly SetOfAgent[]): SecretRef[] {
  const refs = sets.flatMap(({ set }) => set.refs);
  return [...new Map(refs.map((ref) => [ref.versionId, ref])).values()];
}
