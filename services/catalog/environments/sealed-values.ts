import type { Db } from "../../../lib/postgres/db";
import { createByteCache } from "../byte-cache";
import { EnvelopeBroken, unseal } from "../domain/envelope";
import type { EnvironmentVariable } from "../domain/environment";
import type { SecretRef } from "../domain/environment-set";
import type { SealedVersion, VersionStore } from "../store/version-store";
import type { OpenKeys } from "./open-keys";

/** The sealed values of a set's refs, by version id. */
export type SealedSet = ReadonlyMap<string, SealedVersion>;

/**
 * Sealed values of versions, remembered: they never change under their id, and are worth nothing
 * without the tenant's data key.
 */
export interface SealedValues {
  /** What of these refs there is: a version that is gone is absent. */
  load(db: Db, tenantId: string, refs: readonly SecretRef[]): Promise<SealedSet>;
  /** Remembers a value that was just written, as it is likely to be read next. */
  remember(tenantId: string, version: SealedVersion): void;
}

const UUID_LENGTH = 36;

/** SealedValues with a memory of at most `cacheBytes`. */
export function createSealedValues(store: VersionStore, cacheBytes: number): SealedValues {
  const cache = createByteCache(cacheBytes);
  const remember = (tenantId: string, { id, dataKeyId, sealed }: SealedVersion) => {
    cache.set(`${tenantId}\0${id}`, Buffer.concat([Buffer.from(dataKeyId, "latin1"), sealed]));
  };
  const recall = (tenantId: string, id: string): SealedVersion | undefined => {
    const bytes = cache.get(`${tenantId}\0${id}`);
    if (!bytes) return undefined;
    const dataKeyId = bytes.toString("latin1", 0, UUID_LENGTH);
    return { id, dataKeyId, sealed: bytes.subarray(UUID_LENGTH) };
  };
  return {
    remember,
    async load(db, tenantId, refs) {
      const found = new Map<string, SealedVersion>();
      const missing: string[] = [];
      for (const { versionId } of refs) {
        const version = recall(tenantId, versionId);
        if (version) found.set(versionId, version);
        else missing.push(versionId);
      }
      if (missing.length === 0) return found;
      for (const version of await store.read(db, tenantId, missing)) {
        remember(tenantId, version);
        found.set(version.id, version);
      }
      return found;
    },
  };
}

export interface OpenSetInput {
  tenantId: string;
  agentId: string;
  refs: readonly SecretRef[];
  sealed: SealedSet;
  keys: OpenKeys;
}

/**
 * Opens a set. Where each value belongs is said by its ref, not by its row: a value that was put
 * under another name, kind, owner or tenant does not open. Throws EnvelopeBroken; undefined when a
 * value is gone.
 */
export function openSet(input: OpenSetInput): EnvironmentVariable[] | undefined {
  const variables: EnvironmentVariable[] = [];
  for (const ref of input.refs) {
    const { name, kind, versionId, asFile } = ref;
    const version = input.sealed.get(versionId);
    if (!version) return undefined;
    const { key } = input.keys.need(version.dataKeyId);
    const place = placeOf(ref, input.agentId);
    const context = { tenantId: input.tenantId, kind, id: versionId, ...place };
    variables.push({ name, asFile, value: unseal(key, context, version.sealed) });
  }
  return variables;
}

/** Under whose and which name a value is sealed. */
function placeOf({ name, kind, source }: SecretRef, agentId: string) {
  if (kind !== "user") return { owner: kind === "spawn" ? agentId : "", name };
  // A ref without its source was put together by other hands.
  if (!source) throw new EnvelopeBroken();
  return { owner: source.developer, name: source.name };
}
