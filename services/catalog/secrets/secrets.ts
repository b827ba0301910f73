import { timingSafeEqual } from "node:crypto";
import { type Clock, systemClock } from "../../../lib/clock";
import { invalid, invalidFields } from "../../../lib/errors";
import { garbledPageToken, readPage, toPage, type Page } from "../../../lib/page";
import type { Caller } from "../audit";
import type { DataKey } from "../domain/data-key";
import { seal } from "../domain/envelope";
import { bodyHashOf } from "../domain/request-hash";
import {
  countFault,
  isEnvironmentValue,
  pathText,
  scopeOf,
  secretWriteFaults,
  sizeOf,
  type Secret,
  type SecretHistoryEntry,
  type SecretPath,
  type SecretWrite,
} from "../domain/secret";
import { deleteNameFault, isSecretName } from "../domain/secret-name";
import { uuidV7 } from "../domain/uuid-v7";
import type { SealedValues } from "../environments/sealed-values";
import type { TenantKeys } from "../keys/tenant-keys";
import {
  notForEnvironment,
  requestIdReused,
  secretNotFound,
  variableTaken,
  versionConflict,
} from "./secret-errors";
import type { SealedWrite, SecretStore, WriteOutcome } from "../store/secret-store";

export interface PageRequest {
  pageSize: number;
  pageToken: string;
}

/**
 * What can be done with secrets of the tenant and of developers. Who may is decided before. No answer
 * holds a value.
 */
export interface Secrets {
  set(caller: Caller, write: SecretWrite): Promise<Secret>;
  get(tenantId: string, path: SecretPath): Promise<Secret>;
  /** Those of one owner. */
  list(tenantId: string, owner: string, page: PageRequest): Promise<Page<Secret>>;
  /** Those of all developers. */
  listOfUsers(tenantId: string, page: PageRequest): Promise<Page<Secret>>;
  delete(caller: Caller, path: SecretPath, expectedVersion?: bigint): Promise<void>;
  history(tenantId: string, path: SecretPath, page: PageRequest): Promise<Page<SecretHistoryEntry>>;
}

export interface SecretsDeps {
  store: SecretStore;
  keys: TenantKeys;
  /** Remembers what is written: a rekey is likely to read it next. */
  values: Pick<SealedValues, "remember">;
  clock?: Clock;
}

/** Secrets over a store and the tenants' data keys. */
export function createSecrets(deps: SecretsDeps): Secrets {
  const { store } = deps;
  return {
    set: (caller, write) => setSecret(deps, caller, write),
    async get(tenantId, path) {
      const secret = isSecretName(path.name) ? await store.find(tenantId, path) : undefined;
      if (!secret) throw secretNotFound(path);
      return secret;
    },
    async list(tenantId, owner, page) {
      const list = `secrets${owner && ` of ${owner}`}`;
      const query = readPage(list, page);
      return toPage(list, await store.list(tenantId, owner, query), query, ({ name }) => name);
    },
    async listOfUsers(tenantId, page) {
      const { after, limit } = readPage("secrets of developers", page);
      const found = await store.listOfUsers(tenantId, { limit, after: parsePath(after) });
      return toPage("secrets of developers", found, { after, limit }, pathText);
    },
    async delete(caller, path, expectedVersion) {
      const fault = deleteNameFault(path.name, scopeOf(path));
      if (fault !== undefined) throw invalid("name", fault);
      const count = countFault("expected_version", expectedVersion);
      if (count !== undefined) throw invalid("expected_version", count);
      const outcome = await store.delete(caller, path, expectedVersion);
      if (outcome.kind === "not-found") throw secretNotFound(path);
      if (outcome.kind === "version-conflict") throw versionConflict(path, outcome.version);
    },
    async history(tenantId, path, page) {
      const list = `versions of ${pathText(path)}`;
      const query = readPage(list, page);
      const before = query.after === undefined ? undefined : parseVersion(query.after);
      const entries = isSecretName(path.name)
        ? await store.history(tenantId, path, { limit: query.limit, before })
        : [];
      if (entries.length === 0 && before === undefined) throw secretNotFound(path);
      return toPage(list, entries, query, ({ version }) => String(version));
    },
  };
}

async function setSecret(deps: SecretsDeps, caller: Caller, write: SecretWrite): Promise<Secret> {
  const faults = secretWriteFaults(write);
  if (faults.length > 0) throw invalidFields(faults);
  const isText = isEnvironmentValue(write.value);
  if (!isText && write.delivery === "environment") throw notForEnvironment(write.name);
  const key = await deps.keys.current(caller.tenantId);
  const sealed = sealWrite(deps, caller.tenantId, key, write);
  const outcome = await deps.store.write(caller, { ...sealed, needsFile: !isText });
  if (outcome.kind === "written") {
    const version = { id: sealed.versionId, dataKeyId: key.id, sealed: sealed.sealed };
    deps.values.remember(caller.tenantId, version);
  }
  return toSecret(deps, caller, write, outcome);
}

function sealWrite(
  { clock = systemClock }: SecretsDeps,
  tenantId: string,
  key: DataKey,
  write: SecretWrite,
): Omit<SealedWrite, "needsFile"> {
  const { owner, name, value, description, delivery, expectedVersion, requestId } = write;
  const versionId = uuidV7(clock.now());
  const kind = scopeOf(write);
  const sealed = seal(key.key, { tenantId, kind, id: versionId, owner, name }, value);
  return {
    ...{ owner, name },
    versionId,
    dataKeyId: key.id,
    sealed,
    sizeBytes: sizeOf(value),
    description,
    expectedVersion,
    asFile: delivery === undefined ? undefined : delivery === "file",
    request: requestId === "" ? undefined : { id: requestId, bodyHash: bodyHashOf(key, write) },
  };
}

async function toSecret(
  { keys }: SecretsDeps,
  caller: Caller,
  write: SecretWrite,
  outcome: WriteOutcome,
): Promise<Secret> {
  switch (outcome.kind) {
    case "written":
      return outcome.secret;
    case "repeated": {
      const key = await keys.find(caller.tenantId, outcome.dataKeyId);
      if (key && timingSafeEqual(bodyHashOf(key, write), outcome.bodyHash)) return outcome.secret;
      throw requestIdReused(write.requestId);
    }
    case "version-conflict":
      throw versionConflict(write, outcome.version);
    case "needs-file":
      throw notForEnvironment(write.name);
    case "variable-taken":
      throw variableTaken(write);
  }
}

/** What `pathText` wrote of a developer's secret. */
function parsePath(text: string | undefined): SecretPath | undefined {
  if (text === undefined) return undefined;
  const [, owner, name] = /^([^/]+\/[^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (owner === undefined || name === undefined) throw garbledPageToken();
  return { owner, name };
}

function parseVersion(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw garbledPageToken();
  return BigInt(text);
}
