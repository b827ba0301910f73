import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type Clock, systemClock } from "../../../lib/clock";
import {
  alreadyExists,
  invalid,
  invalidFields,
  type AppError,
  type FieldViolation,
} from "../../../lib/errors";
import { quoted } from "../../../lib/quoted";
import type { Pool } from "../../../lib/postgres/db";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Sensitive } from "../../../lib/sensitive";
import type { Caller } from "../audit";
import { agentIdFault } from "../domain/agent-id";
import type { DataKey } from "../domain/data-key";
import { seal } from "../domain/envelope";
import { MAX_NAMES } from "../domain/environment-set";
import { namedSecretsFaults, sizeOf } from "../domain/secret";
import { uuidV7 } from "../domain/uuid-v7";
import type { TenantKeys } from "../keys/tenant-keys";
import { agentEnded } from "./snapshot-errors";
import type { SealedSpawnSecret, SpawnSecretStore } from "../store/spawn-secret-store";

/** One `-e NAME=VALUE` of a spawn. */
export interface SpawnSecret {
  name: string;
  value: Sensitive<Buffer>;
}

export interface SpawnSecretsDeps {
  pool: Pool;
  store: SpawnSecretStore;
  keys: TenantKeys;
  clock?: Clock;
}

/** Keeps spawn-time secrets for an agent that is about to be spawned; returns when the lease ends. */
export type StoreSpawnSecrets = (
  caller: Caller,
  agentId: string,
  secrets: readonly SpawnSecret[],
) => Promise<Date>;

export function createSpawnSecrets(deps: SpawnSecretsDeps): StoreSpawnSecrets {
  const { pool, store, keys, clock = systemClock } = deps;
  return async (caller, agentId, secrets) => {
    const faults = allFaults(agentId, secrets);
    if (faults.length > 0) throw invalidFields(faults);
    const key = await keys.current(caller.tenantId);
    const sealed = secrets.map((secret) =>
      sealSecret(key, { tenantId: caller.tenantId, agentId }, secret, clock),
    );
    const lease = await withTransactionRetry(pool, (tx) =>
      store.replace(tx, caller, agentId, { dataKeyId: key.id, sealed }),
    );
    if (lease === "spawned") throw agentExists(agentId);
    if (lease === "stored-by-another") throw storedByAnother(agentId);
    return lease;
  };
}

/** Gives new values to secrets of an agent that lives; throws AGENT_ENDED for any other. */
export type SetAgentSecrets = (
  caller: Caller,
  agentId: string,
  secrets: readonly SpawnSecret[],
) => Promise<void>;

export function createAgentSecrets(deps: SpawnSecretsDeps): SetAgentSecrets {
  const { pool, store, keys, clock = systemClock } = deps;
  return async (caller, agentId, secrets) => {
    const faults = allFaults(agentId, secrets);
    if (secrets.length === 0)
      faults.push({ field: "secrets", description: "secrets must not be empty" });
    if (faults.length > 0) throw invalidFields(faults);
    const { tenantId } = caller;
    const key = await keys.current(tenantId);
    const sealed = secrets.map((secret) => sealSecret(key, { tenantId, agentId }, secret, clock));
    const isStored = await withTransactionRetry(pool, (tx) =>
      store.supersede(tx, caller, agentId, { dataKeyId: key.id, sealed }),
    );
    if (!isStored) throw agentEnded({ agentId, path: agentId });
  };
}

function sealSecret(
  { key }: DataKey,
  { tenantId, agentId }: { tenantId: string; agentId: string },
  { name, value }: SpawnSecret,
  clock: Clock,
): SealedSpawnSecret {
  const id = uuidV7(clock.now());
  const sealed = seal(key, { tenantId, kind: "spawn", id, owner: agentId, name }, value);
  return { id, name, sealed, sizeBytes: sizeOf(value) };
}

function allFaults(agentId: string, secrets: readonly SpawnSecret[]): FieldViolation[] {
  if (secrets.length > MAX_NAMES)
    throw invalid(
      "secrets",
      `secrets holds ${secrets.length} names, over the limit of ${MAX_NAMES}`,
    );
  const idFault = agentIdFault(agentId);
  const faults = idFault === undefined ? [] : [{ field: "agent_id", description: idFault }];
  return [...faults, ...namedSecretsFaults(secrets, "spawn")];
}

function agentExists(agentId: string): AppError {
  return alreadyExists(
    ErrorReason.ERROR_REASON_AGENT_EXISTS,
    "the agent was spawned already: spawn-time secrets come before",
    { agent_id: agentId },
  );
}

function storedByAnother(agentId: string): AppError {
  return alreadyExists(
    ErrorReason.ERROR_REASON_AGENT_EXISTS,
    `spawn-time secrets of agent ${quoted(agentId)} were stored by somebody else`,
    { agent_id: agentId },
  );
}
