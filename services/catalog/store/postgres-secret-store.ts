import type { Db } from "../../../lib/postgres/db";
import { isUniqueViolation } from "../../../lib/postgres/errors";
import type { Caller } from "../audit";
import { scopeOf, type SecretPath } from "../domain/secret";
import type { DeleteOutcome, SealedWrite, SecretStore, WriteOutcome } from "./secret-store";
import { createBatchedWrites } from "./batched-secret-writes";
import {
  answerToRow,
  SECRET_COLUMNS,
  secretFromRow,
  type SecretAnswer,
  type SecretRow,
} from "./secret-row";
import { DELETE_SECRET, WRITE_SECRET } from "./secret-statements";

interface RequestRow {
  data_key_id: string;
  body_hash: Buffer;
  answer: SecretAnswer;
  is_live: boolean;
}

interface StateRow {
  version: bigint;
  is_deleted: boolean;
  as_file: boolean;
}

/** SecretStore in PostgreSQL. */
export function createPostgresSecretStore(db: Db): SecretStore {
  return {
    write: createBatchedWrites(db, (caller, write) => writeSecret(db, caller, write)),
    delete: (caller, path, expectedVersion) => deleteSecret(db, caller, path, expectedVersion),
    async find(tenantId, { owner, name }) {
      const { rows } = await db.query<SecretRow>(
        `select ${SECRET_COLUMNS} from catalog.secrets
         where tenant_id = $1 and owner = $2 and name = $3 and not is_deleted`,
        [tenantId, owner, name],
        { name: "find-secret" },
      );
      return rows[0] && secretFromRow(rows[0]);
    },
    async list(tenantId, owner, { after, limit }) {
      const { rows } = await db.query<SecretRow>(
        `select ${SECRET_COLUMNS} from catalog.secrets
         where tenant_id = $1 and owner = $4 and name > $2 and not is_deleted
         order by name limit $3`,
        [tenantId, after ?? "", limit + 1, owner],
      );
      return rows.map(secretFromRow);
    },
    async listOfUsers(tenantId, { after, limit }) {
      const { rows } = await db.query<SecretRow>(
        `select ${SECRET_COLUMNS} from catalog.secrets
         where tenant_id = $1 and owner > '' and (owner, name) > ($2, $3) and not is_deleted
         order by owner, name limit $4`,
        [tenantId, after?.owner ?? "", after?.name ?? "", limit + 1],
      );
      return rows.map(secretFromRow);
    },
    async history(tenantId, { owner, name }, { before, limit }) {
      const { rows } = await db.query<{
        version: bigint;
        written_at: Date;
        written_by: string;
        is_deletion: boolean;
        is_current: boolean;
        is_destroyed: boolean;
      }>(
        `select v.version, v.written_at, v.written_by,
           v.sealed is null and v.destroyed_at is null as is_deletion,
           v.destroyed_at is not null as is_destroyed,
           v.id is not distinct from s.version_id as is_current
         from catalog.secret_versions v
         join catalog.secrets s
           on s.tenant_id = v.tenant_id and s.owner = v.owner and s.name = v.name
         where v.tenant_id = $1 and v.kind = $5 and v.owner = $6 and v.name = $2
           and ($3::bigint is null or v.version < $3)
         order by v.version desc limit $4`,
        [tenantId, name, before ?? null, limit + 1, scopeOf({ owner, name }), owner],
      );
      return rows.map((row) => ({
        version: row.version,
        writtenAt: row.written_at,
        writtenBy: row.written_by,
        isDeletion: row.is_deletion,
        isCurrent: row.is_current,
        isDestroyed: row.is_destroyed,
      }));
    },
  };
}

async function writeSecret(db: Db, caller: Caller, write: SealedWrite): Promise<WriteOutcome> {
  try {
    const { rows } = await db.query<SecretRow>(WRITE_SECRET, writeParams(caller, write), {
      name: "write-secret",
    });
    if (rows[0]) return { kind: "written", secret: secretFromRow(rows[0]) };
  } catch (error) {
    if (isUniqueViolation(error, "secrets_variable")) return { kind: "variable-taken" };
    if (!isUniqueViolation(error, "requests_pkey")) throw error;
  }
  return explainRefusal(db, caller, write);
}

/** Nothing was written: it was done before, or a condition of the statement did not hold. */
async function explainRefusal(db: Db, caller: Caller, write: SealedWrite): Promise<WriteOutcome> {
  const { request } = write;
  if (request) {
    const done = await findRequest(db, caller, write, request.id);
    if (done?.is_live) {
      const { data_key_id: dataKeyId, body_hash: bodyHash, answer } = done;
      return { kind: "repeated", dataKeyId, bodyHash, secret: secretFromRow(answerToRow(answer)) };
    }
    if (done) {
      await forgetRequest(db, caller, write, request.id);
      return writeSecret(db, caller, write);
    }
  }
  const state = await findState(db, caller.tenantId, write);
  const version = state && !state.is_deleted ? state.version : 0n;
  const asFile = write.asFile ?? (version > 0n && state?.as_file === true);
  if (write.expectedVersion !== undefined && write.expectedVersion !== version)
    return { kind: "version-conflict", version };
  if (write.needsFile && !asFile) return { kind: "needs-file" };
  // The state has changed since and would now allow it: the caller may try again.
  return { kind: "version-conflict", version };
}

async function deleteSecret(
  db: Db,
  caller: Caller,
  path: SecretPath,
  expectedVersion?: bigint,
): Promise<DeleteOutcome> {
  const { owner, name } = path;
  const { rowCount } = await db.query(
    DELETE_SECRET,
    [
      caller.tenantId,
      caller.kind,
      caller.id,
      caller.peer,
      name,
      expectedVersion ?? null,
      owner,
      "delete",
      caller.apiKeyId ?? null,
    ],
    { name: "delete-secret" },
  );
  if (rowCount > 0) return { kind: "deleted" };
  const state = await findState(db, caller.tenantId, path);
  if (!state || state.is_deleted) return { kind: "not-found" };
  return { kind: "version-conflict", version: state.version };
}

async function findState(
  db: Db,
  tenantId: string,
  { owner, name }: SecretPath,
): Promise<StateRow | undefined> {
  const { rows } = await db.query<StateRow>(
    `select version, is_deleted, as_file from catalog.secrets
     where tenant_id = $1 and owner = $2 and name = $3`,
    [tenantId, owner, name],
  );
  return rows[0];
}

/** As the statements name it. */
function methodOf(path: SecretPath): string {
  return path.owner === "" ? "SetSecret" : "SetUserSecret";
}

async function findRequest(
  db: Db,
  caller: Caller,
  path: SecretPath,
  id: string,
): Promise<RequestRow | undefined> {
  const { rows } = await db.query<RequestRow>(
    `select data_key_id, body_hash, answer, expires_at > clock_timestamp() as is_live
     from catalog.requests
     where tenant_id = $1 and method = $4 and actor = $2 and request_id = $3`,
    [caller.tenantId, caller.id, id, methodOf(path)],
  );
  return rows[0];
}

async function forgetRequest(db: Db, caller: Caller, path: SecretPath, id: string): Promise<void> {
  await db.query(
    `delete from catalog.requests
     where tenant_id = $1 and method = $4 and actor = $2 and request_id = $3
       and expires_at <= clock_timestamp()`,
    [caller.tenantId, caller.id, id, methodOf(path)],
  );
}

/** The parameters of `WRITE_SECRET`. */
export function writeParams(caller: Caller, write: SealedWrite): unknown[] {
  const { request } = write;
  return [
    ...[caller.tenantId, caller.kind, caller.id, caller.peer, write.name, write.versionId],
    ...[write.dataKeyId, write.sealed, write.sizeBytes, write.asFile ?? null],
    ...[write.description !== undefined, write.description ?? null],
    ...[write.expectedVersion ?? null, write.needsFile, request?.id ?? null],
    ...[request?.bodyHash ?? null, write.owner, caller.apiKeyId ?? null],
  ];
}
