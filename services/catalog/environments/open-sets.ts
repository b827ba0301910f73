import type { Db } from "../../../lib/postgres/db";
import { createByteCache } from "../byte-cache";
import { seal, unseal } from "../domain/envelope";
import { packValues, unpackValues, type EnvironmentVariable } from "../domain/environment";
import type { SecretRef } from "../domain/environment-set";
import type { OpenKeys } from "./open-keys";
import { openSet, type SealedValues } from "./sealed-values";

/** Which set, for whom. */
export interface SetToOpen {
  tenantId: string;
  agentId: string;
  /** In hexadecimal. */
  setId: string;
  refs: readonly SecretRef[];
}

/** Opens sets. */
export interface OpenSets {
  /** Reads in one statement what opening these sets of one tenant will need. */
  prefetch(db: Db, tenantId: string, sets: readonly SetToOpen[]): Promise<void>;
  /** Undefined when a value is gone. Throws EnvelopeBroken when one was changed or moved. */
  open(db: Db, set: SetToOpen, keys: OpenKeys): Promise<EnvironmentVariable[] | undefined>;
}

const UUID_LENGTH = 36;

/**
 * OpenSets that remembers each set in one sealed piece: to open that costs a tenth of opening every
 * value, and what is remembered is worth nothing without the tenant's data key.
 */
export function createOpenSets(values: SealedValues, cacheBytes: number): OpenSets {
  const cache = createByteCache(cacheBytes);
  const recall = (set: SetToOpen, keys: OpenKeys): EnvironmentVariable[] | undefined => {
    const bytes = cache.get(nameOf(set));
    if (!bytes) return undefined;
    const { key } = keys.need(bytes.toString("latin1", 0, UUID_LENGTH));
    return unpackValues(set.refs, unseal(key, contextOf(set), bytes.subarray(UUID_LENGTH)));
  };
  const remember = (set: SetToOpen, variables: EnvironmentVariable[], keys: OpenKeys) => {
    const { id, key } = keys.current;
    const sealed = seal(key, contextOf(set), packValues(variables));
    cache.set(nameOf(set), Buffer.concat([Buffer.from(id, "latin1"), sealed]));
  };
  return {
    async prefetch(db, tenantId, sets) {
      const refs = sets.filter((set) => !cache.get(nameOf(set))).flatMap((set) => set.refs);
      const distinct = new Map(refs.map((ref) => [ref.versionId, ref]));
      await values.load(db, tenantId, [...distinct.values()]);
    },
    async open(db, set, keys) {
      const known = recall(set, keys);
      if (known) return known;
      const { tenantId, agentId, refs } = set;
      const sealed = await values.load(db, tenantId, refs);
      const variables = openSet({ tenantId, agentId, refs, sealed, keys });
      if (variables) remember(set, variables, keys);
      return variables;
    },
  };
}

/** Values of spawn-time secrets are their agent's; a set without them is everybody's who has it. */
function ownerOf({ agentId, refs }: SetToOpen): string {
  return refs.some(({ kind }) => kind === "spawn") ? agentId : "";
}

function nameOf(set: SetToOpen): string {
  return `${set.tenantId}\0${set.setId}\0${ownerOf(set)}`;
}

function contextOf(set: SetToOpen) {
  const { tenantId, setId } = set;
  return { tenantId, kind: "open-set", id: setId, owner: ownerOf(set), name: "" };
}
