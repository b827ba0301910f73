import type { Clock } from "../../../lib/clock";
import type { Pool } from "../../../lib/postgres/db";
import type { TenantKeys } from "../keys/tenant-keys";
import { createPostgresGenerationStore } from "../store/postgres-generation-store";
import { createPostgresSnapshotStore } from "../store/postgres-snapshot-store";
import { createPostgresSpawnSecretStore } from "../store/postgres-spawn-secret-store";
import { createPostgresVersionStore } from "../store/postgres-version-store";
import { createEnvironmentOpener, type EnvironmentOpener } from "./environment-opener";
import { createOpenSets } from "./open-sets";
import { createPreviews, type PreviewEnvironments } from "./previews";
import { createSealedValues, type SealedValues } from "./sealed-values";
import { createSetContents } from "./set-contents";
import { createSetDigests } from "./set-digests";
import { createSnapshots, type TakeSnapshots } from "./snapshots";
import {
  createAgentSecrets,
  createSpawnSecrets,
  type SetAgentSecrets,
  type StoreSpawnSecrets,
} from "./spawn-secrets";

const VALUES_CACHE_BYTES = 32 * 1024 * 1024;
const SETS_CACHE_BYTES = 32 * 1024 * 1024;

/** Everything that has to do with agents' environments. */
export interface Environments {
  takeSnapshots: TakeSnapshots;
  preview: PreviewEnvironments;
  storeSpawnSecrets: StoreSpawnSecrets;
  setAgentSecrets: SetAgentSecrets;
  opener: EnvironmentOpener;
  values: SealedValues;
}

export interface EnvironmentsDeps {
  pool: Pool;
  keys: TenantKeys;
  clock: Clock;
}

/** Builds the parts that share one memory of sealed values. */
export function createEnvironments({ pool, keys, clock }: EnvironmentsDeps): Environments {
  const values = createSealedValues(createPostgresVersionStore(), VALUES_CACHE_BYTES);
  const openSets = createOpenSets(values, SETS_CACHE_BYTES);
  const generations = createPostgresGenerationStore(pool);
  const sets = createSetContents(pool, generations);
  const snapshots = createPostgresSnapshotStore();
  const spawning = { pool, store: createPostgresSpawnSecretStore(), keys, clock };
  return {
    values,
    preview: createPreviews({ pool, store: snapshots }),
    takeSnapshots: createSnapshots({
      pool,
      store: snapshots,
      keys,
      digests: createSetDigests(openSets),
    }),
    storeSpawnSecrets: createSpawnSecrets(spawning),
    setAgentSecrets: createAgentSecrets(spawning),
    opener: createEnvironmentOpener({ pool, store: generations, sets, openSets, keys }),
  };
}
