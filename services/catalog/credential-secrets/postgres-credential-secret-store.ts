import type { Db, Pool, Tx } from "../../../lib/postgres/db";
import { isUniqueViolation } from "../../../lib/postgres/errors";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Caller } from "../audit";
import { TENANT } from "../domain/secret";
import { variableOf } from "../domain/secret-name";
import { waitForSnapshots } from "../store/postgres-ending-store";
import { writeParams } from "../store/postgres-secret-store";
import type { SecretRow } from "../store/secret-row";
import { WRITE_SECRET } from "../store/secret-statements";
import type {
  CredentialSecretStore,
  StagedCredential,
  StoreOutcome,
  VersionRange,
} from "./credential-secret-store";

/** $1 tenant, $2 version ids. What is below an agent's floor is not delivered any more. */
const HOLDERS = `
with sets as materialized (
  select set_id from catalog.environment_sets
  where tenant_id = $1 and exists (
    select from jsonb_array_elements(refs) as ref where ref ->> 2 = any($2::text[]))
)
select g.agent_id, array_agg(g.generation order by g.generation) as generations
from catalog.generations g
join catalog.agents a on a.tenant_id = g.tenant_id and a.agent_id = g.agent_id
where g.tenant_id = $1 and a.ended_at is null and g.generation >= a.floor
  and g.set_id in (select set_id from sets)
group by g.agent_id order by g.agent_id`;

/** $1 tenant, $2 names of the variables that the secret may fill. */
const HAD = `
select agent_id from catalog.agents
where tenant_id = $1 and ended_at is null and delivered_names ?| $2::text[]`;

/** $1 tenant, $2 name, $3 from, $4 below, $5 ids besides. */
const VERSION_IDS = `
select id from catalog.secret_versions
where tenant_id = $1 and kind = 'tenant' and owner = '' and name = $2
  and ((version >= $3 and version < $4) or id = any($5::uuid[]))`;

/** The secret that a store found changed: its transaction is rolled back. */
class SecretChanged extends Error {
  constructor(readonly secretName: string) {
    super("the secret has changed since");
    this.name = "SecretChanged";
  }
}

/** CredentialSecretStore in PostgreSQL. */
export function createPostgresCredentialSecretStore(pool: Pool): CredentialSecretStore {
  return {
    findCurrent: (tenantId, secretName) => findCurrent(pool, tenantId, secretName),
    async findStored(tenantId, stagedId) {
      const { rows } = await pool.query<{ current_version: bigint }>(
        `select current_version from catalog.staged_credentials
         where tenant_id = $1 and staged_id = $2 and stored_version is not null`,
        [tenantId, stagedId],
      );
      return rows[0]?.current_version;
    },
    stage: (tenantId, staged) => stage(pool, tenantId, staged),
    store: (caller, stagedId) => store(pool, caller, stagedId),
    async discard(tenantId, stagedId, isSettled) {
      const { rows } = await pool.query<{ stored_version: bigint | null }>(
        `with gone as (
           delete from catalog.staged_credentials
           where tenant_id = $1 and staged_id = $2 and stored_version is null
         ), done as (
           update catalog.staged_credentials set done_at = clock_timestamp()
           where tenant_id = $1 and staged_id = $2 and stored_version is not null and done_at is null
             and $3
         )
         select stored_version from catalog.staged_credentials
         where tenant_id = $1 and staged_id = $2`,
        [tenantId, stagedId, isSettled],
      );
      // One that is being stored just now was waited for: then the first look had not seen it.
      const seen = rows[0]?.stored_version ?? undefined;
      if (seen !== undefined || rows.length === 0) return seen;
      const again = await pool.query<{ stored_version: bigint | null }>(
        `select stored_version from catalog.staged_credentials
         where tenant_id = $1 and staged_id = $2`,
        [tenantId, stagedId],
      );
      return again.rows[0]?.stored_version ?? undefined;
    },
    async listNewer(db, tenantId, { secretName, below, sizeBytes }) {
      const { rows } = await db.query<{ id: string; data_key_id: string; sealed: Buffer }>(
        `select id, data_key_id, sealed from catalog.secret_versions
         where tenant_id = $1 and kind = 'tenant' and owner = '' and name = $2 and version >= $3
           and size_bytes = $4 and sealed is not null
         order by version desc limit 100`,
        [tenantId, secretName, below, sizeBytes],
      );
      return rows.map(({ id, data_key_id: dataKeyId, sealed }) => ({ id, dataKeyId, sealed }));
    },
    findHolders: (tenantId, range, retired) =>
      retired === undefined
        ? findHolders(pool, tenantId, range)
        : withTransactionRetry(pool, async (tx) => {
            await waitForSnapshots(tx, tenantId);
            await retire(tx, tenantId, range, retired);
            return findHolders(tx, tenantId, range);
          }),
  };
}

async function findCurrent(db: Db, tenantId: string, secretName: string) {
  const { rows } = await db.query<{
    version: bigint;
    is_deleted: boolean;
    id: string | null;
    data_key_id: string | null;
    sealed: Buffer | null;
  }>(
    `select s.version, s.is_deleted, v.id, v.data_key_id, v.sealed from catalog.secrets s
     left join catalog.secret_versions v on v.tenant_id = s.tenant_id and v.id = s.version_id
     where s.tenant_id = $1 and s.owner = '' and s.name = $2`,
    [tenantId, secretName],
  );
  const [row] = rows;
  if (!row) return undefined;
  const { version, id, data_key_id: dataKeyId, sealed } = row;
  const isThere = !row.is_deleted && id !== null && dataKeyId !== null && sealed !== null;
  return { version, sealed: isThere ? { id, dataKeyId, sealed } : undefined };
}

async function stage(db: Db, tenantId: string, staged: StagedCredential): Promise<void> {
  await db.query(
    `insert into catalog.staged_credentials as s (tenant_id, staged_id, secret_name,
       current_version, version_id, data_key_id, sealed, size_bytes, developer, api_key_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     on conflict (tenant_id, staged_id) do update set secret_name = excluded.secret_name,
       current_version = excluded.current_version, version_id = excluded.version_id,
       data_key_id = excluded.data_key_id, sealed = excluded.sealed,
       size_bytes = excluded.size_bytes, staged_at = clock_timestamp()
     where s.stored_version is null`,
    [
      ...[tenantId, staged.stagedId, staged.secretName, staged.currentVersion, staged.sealed.id],
      ...[staged.sealed.dataKeyId, staged.sealed.sealed, staged.sizeBytes, staged.developer],
      staged.apiKeyId ?? null,
    ],
  );
}

async function store(pool: Pool, caller: Caller, stagedId: string): Promise<StoreOutcome> {
  const { tenantId } = caller;
  let secretName = "";
  try {
    return await withTransactionRetry(pool, async (tx) => {
      const staged = await lockStaged(tx, tenantId, stagedId);
      if (!staged) return { kind: "not-found" };
      secretName = staged.secretName;
      if (staged.storedVersion !== undefined)
        return { kind: "stored", version: staged.storedVersion, sealed: undefined };
      const version = await write(tx, caller, staged);
      await tx.query(
        `update catalog.staged_credentials
         set stored_version = $3, sealed = null, data_key_id = null
         where tenant_id = $1 and staged_id = $2`,
        [tenantId, stagedId, version],
      );
      return { kind: "stored", version, sealed: staged.sealed };
    });
  } catch (error) {
    if (isUniqueViolation(error, "secrets_variable")) return { kind: "variable-taken", secretName };
    if (!(error instanceof SecretChanged)) throw error;
    const current = await findCurrent(pool, tenantId, secretName);
    const version = current?.sealed ? current.version : 0n;
    return { kind: "version-conflict", secretName, version };
  }
}

/** As its developer, by whom the version is then. */
async function write(tx: Tx, caller: Caller, staged: StagedCredential): Promise<bigint> {
  const { secretName, sealed, developer, apiKeyId } = staged;
  const author: Caller = {
    ...{ tenantId: caller.tenantId, kind: "developer", id: developer, peer: caller.peer },
    ...(apiKeyId !== undefined && { apiKeyId }),
  };
  const params = writeParams(author, {
    ...{ owner: TENANT, name: secretName, versionId: sealed.id, dataKeyId: sealed.dataKeyId },
    ...{ sealed: sealed.sealed, sizeBytes: staged.sizeBytes, description: undefined },
    ...{ expectedVersion: staged.currentVersion, asFile: undefined, needsFile: false },
    request: undefined,
  });
  const { rows } = await tx.query<SecretRow>(WRITE_SECRET, params, { name: "write-secret" });
  if (!rows[0]) throw new SecretChanged(secretName);
  return rows[0].version;
}

async function lockStaged(
  tx: Tx,
  tenantId: string,
  stagedId: string,
): Promise<(StagedCredential & { storedVersion: bigint | undefined }) | undefined> {
  const { rows } = await tx.query<{
    secret_name: string;
    current_version: bigint;
    version_id: string;
    data_key_id: string | null;
    sealed: Buffer | null;
    size_bytes: number;
    developer: string;
    api_key_id: string | null;
    stored_version: bigint | null;
  }>(
    `select secret_name, current_version, version_id, data_key_id, sealed, size_bytes, developer,
       api_key_id, stored_version
     from catalog.staged_credentials where tenant_id = $1 and staged_id = $2 for update`,
    [tenantId, stagedId],
  );
  const [row] = rows;
  if (!row) return undefined;
  return {
    stagedId,
    secretName: row.secret_name,
    currentVersion: row.current_version,
    sealed: {
      ...{ id: row.version_id, dataKeyId: row.data_key_id ?? "" },
      sealed: row.sealed ?? Buffer.alloc(0),
    },
    sizeBytes: row.size_bytes,
    developer: row.developer,
    apiKeyId: row.api_key_id ?? undefined,
    storedVersion: row.stored_version ?? undefined,
  };
}

async function versionIds(db: Db, tenantId: string, range: VersionRange): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(VERSION_IDS, [
    ...[tenantId, range.secretName, range.from, range.below, range.alsoIds],
  ]);
  return rows.map(({ id }) => id);
}

async function retire(
  tx: Tx,
  tenantId: string,
  range: VersionRange,
  retired: boolean,
): Promise<void> {
  await tx.query(
    `update catalog.secret_versions
     set retired_at = case when $3 then coalesce(retired_at, clock_timestamp()) end
     where tenant_id = $1 and id = any($2::uuid[]) and (retired_at is not null) <> $3`,
    [tenantId, await versionIds(tx, tenantId, range), retired],
  );
}

async function findHolders(db: Db, tenantId: string, range: VersionRange) {
  const ids = await versionIds(db, tenantId, range);
  const { rows } = await db.query<{ agent_id: string; generations: string[] }>(HOLDERS, [
    ...[tenantId, ids],
  ]);
  const names = [false, true].map((asFile) => variableOf(range.secretName, asFile));
  const had = await db.query<{ agent_id: string }>(HAD, [tenantId, names]);
  return {
    holders: rows.map((row) => ({
      agentId: row.agent_id,
      generations: row.generations.map(BigInt),
    })),
    hadAgentIds: had.rows.map((row) => row.agent_id),
  };
}
