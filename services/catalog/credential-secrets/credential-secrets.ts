import { type Clock, systemClock } from "../../../lib/clock";
import { type FieldViolation, invalidFields } from "../../../lib/errors";
import type { Pool } from "../../../lib/postgres/db";
import type { Sensitive } from "../../../lib/sensitive";
import type { Caller } from "../audit";
import { agentIdFault } from "../domain/agent-id";
import { seal, unseal } from "../domain/envelope";
import { credentialHash, secretWriteFaults, sizeOf, TENANT } from "../domain/secret";
import { isSecretName } from "../domain/secret-name";
import { uuidV7 } from "../domain/uuid-v7";
import { type OpenKeys, withOpenKeys } from "../environments/open-keys";
import type { SealedValues } from "../environments/sealed-values";
import type { TenantKeys } from "../keys/tenant-keys";
import {
  carriesAnother,
  secretNotFound,
  stagedNotFound,
  variableTaken,
  versionConflict,
} from "../secrets/secret-errors";
import type { SealedVersion } from "../store/version-store";
import type { CredentialSecretStore, GenerationHolder } from "./credential-secret-store";

/** A successor, and the secret that is to have it. */
export interface CredentialToStage {
  stagedId: string;
  secretName: string;
  value: Sensitive<Buffer>;
  /** Of the credential that the secret has now; empty: there is no such secret. */
  replaces: Buffer;
  developer: string;
  apiKeyId: string | undefined;
}

/** Versions of a secret that had a credential. */
export interface CarryingVersions {
  secretName: string;
  from: bigint;
  below: bigint;
  /** SHA-256 of it. */
  hash: Buffer;
}

/** Tenant secrets that carry API keys and agent tokens (credential_secrets.proto). */
export interface CredentialSecrets {
  /** Which version the secret has now, 0 for none. */
  stage(caller: Caller, wish: CredentialToStage): Promise<bigint>;
  store(caller: Caller, stagedId: string): Promise<bigint>;
  discard(caller: Caller, stagedId: string, isSettled: boolean): Promise<bigint | undefined>;
  findHolders(
    caller: Caller,
    which: CarryingVersions,
    retired: boolean | undefined,
  ): Promise<{ holders: GenerationHolder[]; hadAgentIds: string[] }>;
}

export interface CredentialSecretsDeps {
  pool: Pool;
  store: CredentialSecretStore;
  keys: TenantKeys;
  /** Remembers what is written: a rekey reads it next. */
  values: Pick<SealedValues, "remember">;
  clock?: Clock;
}

const HASH_BYTES = 32;
/** Of every value of a credential. */
const CREDENTIAL_BYTES = 57;

export function createCredentialSecrets(deps: CredentialSecretsDeps): CredentialSecrets {
  const { store, values } = deps;
  return {
    stage: (caller, wish) => stage(deps, caller, wish),
    async store(caller, stagedId) {
      checkStagedId(stagedId);
      const outcome = await store.store(caller, stagedId);
      switch (outcome.kind) {
        case "stored":
          if (outcome.sealed) values.remember(caller.tenantId, outcome.sealed);
          return outcome.version;
        case "not-found":
          throw stagedNotFound(stagedId);
        case "version-conflict":
          throw versionConflict(pathOf(outcome.secretName), outcome.version);
        case "variable-taken":
          throw variableTaken({ name: outcome.secretName });
      }
    },
    async discard({ tenantId }, stagedId, isSettled) {
      checkStagedId(stagedId);
      return store.discard(tenantId, stagedId, isSettled);
    },
    async findHolders({ tenantId }, which, retired) {
      const faults = rangeFaults(which);
      if (faults.length > 0) throw invalidFields(faults);
      return withOpenKeys(deps.keys, tenantId, async (keys) => {
        const alsoIds = await sameValued(deps, tenantId, which, keys);
        return store.findHolders(tenantId, { ...which, alsoIds }, retired);
      });
    },
  };
}

async function stage(
  deps: CredentialSecretsDeps,
  { tenantId }: Caller,
  wish: CredentialToStage,
): Promise<bigint> {
  const faults = stageFaults(wish);
  if (faults.length > 0) throw invalidFields(faults);
  const { stagedId, secretName, value, replaces, developer, apiKeyId } = wish;
  const before = await deps.store.findStored(tenantId, stagedId);
  if (before !== undefined) return before;
  return withOpenKeys(deps.keys, tenantId, async (keys) => {
    const currentVersion = await checkCurrent(deps, tenantId, { secretName, replaces }, keys);
    const id = uuidV7((deps.clock ?? systemClock).now());
    const context = { tenantId, kind: "tenant", id, ...pathOf(secretName) };
    const sealed = seal(keys.current.key, context, value);
    await deps.store.stage(tenantId, {
      ...{ stagedId, secretName, currentVersion, developer, apiKeyId, sizeBytes: sizeOf(value) },
      sealed: { id, dataKeyId: keys.current.id, sealed },
    });
    return currentVersion;
  });
}

/** That the secret is what is to be replaced: nobody's other value is written over. */
async function checkCurrent(
  { store }: CredentialSecretsDeps,
  tenantId: string,
  { secretName, replaces }: Pick<CredentialToStage, "secretName" | "replaces">,
  keys: OpenKeys,
): Promise<bigint> {
  const current = await store.findCurrent(tenantId, secretName);
  if (replaces.length === 0) {
    if (current?.sealed) throw versionConflict(pathOf(secretName), current.version);
    return 0n;
  }
  if (!current?.sealed) throw secretNotFound(pathOf(secretName));
  if (!hasValue(tenantId, secretName, current.sealed, { hash: replaces, keys }))
    throw carriesAnother(secretName);
  return current.version;
}

/** Versions that somebody set to the same value again. */
async function sameValued(
  { pool, store }: CredentialSecretsDeps,
  tenantId: string,
  { secretName, below, hash }: CarryingVersions,
  keys: OpenKeys,
): Promise<string[]> {
  const wish = { secretName, below, sizeBytes: CREDENTIAL_BYTES };
  const newer = await store.listNewer(pool, tenantId, wish);
  return newer
    .filter((version) => hasValue(tenantId, secretName, version, { hash, keys }))
    .map(({ id }) => id);
}

function hasValue(
  tenantId: string,
  secretName: string,
  { id, dataKeyId, sealed }: SealedVersion,
  { hash, keys }: { hash: Buffer; keys: OpenKeys },
): boolean {
  const context = { tenantId, kind: "tenant", id, ...pathOf(secretName) };
  const value = unseal(keys.need(dataKeyId).key, context, sealed);
  return credentialHash(value)?.equals(hash) ?? false;
}

function pathOf(name: string) {
  return { owner: TENANT, name };
}

function checkStagedId(stagedId: string): void {
  const faults = idFaults(stagedId);
  if (faults.length > 0) throw invalidFields(faults);
}

/** The same form as an agent's id. */
function idFaults(stagedId: string): FieldViolation[] {
  return agentIdFault(stagedId) === undefined
    ? []
    : [{ field: "staged_id", description: "staged_id must be a UUID" }];
}

function stageFaults(wish: CredentialToStage): FieldViolation[] {
  const { stagedId, secretName, value, replaces, developer } = wish;
  const asWrite = secretWriteFaults({
    ...{ owner: TENANT, name: secretName, value, requestId: "" },
    ...{ description: undefined, expectedVersion: undefined, delivery: undefined },
  }).map(({ field, description }) => ({
    field: field === "name" ? "secret_name" : field,
    description,
  }));
  const isValue = credentialHash(value) !== undefined;
  const isHash = replaces.length === 0 || replaces.length === HASH_BYTES;
  return [
    ...idFaults(stagedId),
    ...asWrite,
    ...(isValue ? [] : [fault("plaintext_value", "plaintext_value must be a credential")]),
    ...(isHash ? [] : [fault("replaces_sha256", "replaces_sha256 must be 32 bytes")]),
    ...(developer === "" ? [fault("developer", "developer is required")] : []),
  ];
}

function rangeFaults({ secretName, from, below, hash }: CarryingVersions): FieldViolation[] {
  const isHash = hash.length === HASH_BYTES;
  return [
    ...(isSecretName(secretName) ? [] : [fault("secret_name", "secret_name must be a name")]),
    ...(from >= 1n && below > from ? [] : [fault("below_version", "the range is empty")]),
    ...(isHash ? [] : [fault("credential_sha256", "credential_sha256 must be 32 bytes")]),
  ];
}

function fault(field: string, description: string): FieldViolation {
  return { field, description };
}
