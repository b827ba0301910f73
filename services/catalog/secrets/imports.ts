import { timingSafeEqual } from "node:crypto";
import { type Clock, systemClock } from "../../../lib/clock";
import { invalid, invalidFields } from "../../../lib/errors";
import type { Sensitive } from "../../../lib/sensitive";
import type { Caller } from "../audit";
import type { DataKey } from "../domain/data-key";
import { macOf, seal } from "../domain/envelope";
import { namedSecretsFaults, requestIdFault, sizeOf, TENANT, type Secret } from "../domain/secret";
import { uuidV7 } from "../domain/uuid-v7";
import type { TenantKeys } from "../keys/tenant-keys";
import type { ImportStore } from "../store/import-store";
import type { SealedWrite } from "../store/secret-store";
import { requestIdReused, variableTaken } from "./secret-errors";

/** Names with new values, all to be written or none. */
export interface SecretsImport {
  secrets: readonly { name: string; value: Sensitive<Buffer> }[];
  isDryRun: boolean;
  /** Empty: the call may not be repeated. */
  requestId: string;
}

export interface ImportsDeps {
  store: ImportStore;
  keys: TenantKeys;
  clock?: Clock;
}

/**
 * Writes new versions of many tenant secrets, or none; answers with what they are, or in a dry run
 * would be, in order. Throws INVALID_ARGUMENT with every fault, REQUEST_ID_REUSED.
 */
export type ImportSecrets = (caller: Caller, wanted: SecretsImport) => Promise<Secret[]>;

const MAX_SECRETS = 1_000;

export function createImportSecrets(deps: ImportsDeps): ImportSecrets {
  const { store, keys, clock = systemClock } = deps;
  return async (caller, wanted) => {
    const { secrets, isDryRun, requestId } = wanted;
    check(wanted);
    const key = await keys.current(caller.tenantId);
    const outcome = await store.write(caller, {
      writes: secrets.map((secret) => sealOne(caller.tenantId, key, secret, clock.now())),
      isDryRun,
      dataKeyId: key.id,
      request:
        requestId === "" || isDryRun
          ? undefined
          : { id: requestId, bodyHash: bodyHashOf(key, wanted) },
    });
    switch (outcome.kind) {
      case "written":
        return outcome.secrets;
      case "variable-taken":
        throw variableTaken({ name: outcome.names[0] ?? "" });
      case "repeated": {
        const its = await keys.find(caller.tenantId, outcome.dataKeyId);
        if (its && timingSafeEqual(bodyHashOf(its, wanted), outcome.bodyHash))
          return outcome.secrets;
        throw requestIdReused(requestId);
      }
    }
  };
}

function check({ secrets, requestId }: SecretsImport): void {
  if (secrets.length === 0 || secrets.length > MAX_SECRETS)
    throw invalid("secrets", `secrets must be from 1 to ${MAX_SECRETS}`);
  const faults = namedSecretsFaults(secrets, "tenant");
  const fault = requestIdFault(requestId);
  if (fault !== undefined) faults.push({ field: "request_id", description: fault });
  if (faults.length > 0) throw invalidFields(faults);
}

function sealOne(
  tenantId: string,
  { id: dataKeyId, key }: DataKey,
  { name, value }: SecretsImport["secrets"][number],
  now: Date,
): SealedWrite {
  const id = uuidV7(now);
  const sealed = seal(key, { tenantId, kind: "tenant", id, owner: TENANT, name }, value);
  return {
    ...{ owner: TENANT, name, versionId: id, dataKeyId, sealed, sizeBytes: sizeOf(value) },
    description: undefined,
    expectedVersion: undefined,
    asFile: undefined,
    needsFile: false,
    request: undefined,
  };
}

function bodyHashOf(key: DataKey, { secrets }: SecretsImport): Buffer {
  const parts = secrets.flatMap(({ name, value }) => [name, value]);
  return macOf(key.subkey("request-hash"), ["import-secrets", ...parts]);
}
