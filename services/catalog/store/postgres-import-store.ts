import type { Pool, Tx } from "../../../lib/postgres/db";
import { isUniqueViolation } from "../../../lib/postgres/errors";
import { withTransactionRetry } from "../../../lib/postgres/transaction";
import type { Caller } from "../audit";
import { TENANT, type Secret } from "../domain/secret";
import { toArrays } from "./batched-secret-writes";
import type { Import, ImportOutcome, ImportStore } from "./import-store";
import { answerToRow, secretFromRow, type SecretAnswer, type SecretRow } from "./secret-row";
import { writeSecrets } from "./secret-statements";

const WRITE_ALL = writeSecrets({ keepsDescription: true, keepsDelivery: true });

/** Takes back what a dry run wrote. */
class DryRun extends Error {
  constructor(readonly secrets: Secret[]) {
    super("the import was only tried");
    this.name = "DryRun";
  }
}

/** ImportStore in PostgreSQL. */
export function createPostgresImportStore(pool: Pool): ImportStore {
  const write: ImportStore["write"] = async (caller, all) => {
    const earlier = await findEarlier(pool, caller, all);
    if (earlier) return earlier;
    try {
      const secrets = await withTransactionRetry(pool, (tx) => writeAll(tx, caller, all));
      return { kind: "written", secrets };
    } catch (error) {
      if (error instanceof DryRun) return { kind: "written", secrets: error.secrets };
      if (isUniqueViolation(error, "secrets_variable"))
        return { kind: "variable-taken", names: await takenNames(pool, caller.tenantId, all) };
      // Another call with this request id was quicker: its answer is there now.
      if (isUniqueViolation(error, "requests_pkey")) return write(caller, all);
      throw error;
    }
  };
  return { write };
}

async function writeAll(tx: Tx, caller: Caller, all: Import): Promise<Secret[]> {
  const params = toArrays(all.writes.map((write) => ({ caller, write })));
  const { rows } = await tx.query<SecretRow & { version_id: string }>(WRITE_ALL, params, {
    name: "write-secrets-true-true",
  });
  const byVersion = new Map(rows.map((row) => [row.version_id, row]));
  const inOrder = all.writes.flatMap(({ versionId }) => byVersion.get(versionId) ?? []);
  const secrets = inOrder.map(secretFromRow);
  if (all.isDryRun) throw new DryRun(secrets);
  if (all.request) await answer(tx, caller, all, inOrder);
  return secrets;
}

async function answer(tx: Tx, caller: Caller, all: Import, rows: SecretRow[]): Promise<void> {
  const kept = rows.map((row) => ({ ...row, version: String(row.version) }));
  await tx.query(
    `insert into catalog.requests (tenant_id, method, actor, request_id, data_key_id, body_hash,
       answer, expires_at)
     values ($1, 'ImportSecrets', $2, $3, $4, $5, $6::jsonb,
       clock_timestamp() + interval '10 minutes')`,
    [
      ...[caller.tenantId, caller.id, all.request?.id, all.dataKeyId, all.request?.bodyHash],
      JSON.stringify(kept),
    ],
  );
}

/** What an import with this request id was answered; one that has expired is forgotten. */
async function findEarlier(
  pool: Pool,
  caller: Caller,
  { request }: Import,
): Promise<ImportOutcome | undefined> {
  if (!request) return undefined;
  const which = [caller.tenantId, caller.id, request.id];
  const { rows } = await pool.query<{
    data_key_id: string;
    body_hash: Buffer;
    answer: SecretAnswer[];
    is_live: boolean;
  }>(
    `select data_key_id, body_hash, answer, expires_at > clock_timestamp() as is_live
     from catalog.requests
     where tenant_id = $1 and method = 'ImportSecrets' and actor = $2 and request_id = $3`,
    which,
  );
  const [row] = rows;
  if (row?.is_live) {
    const secrets = row.answer.map((one) => secretFromRow(answerToRow(one)));
    const { data_key_id: dataKeyId, body_hash: bodyHash } = row;
    return { kind: "repeated", dataKeyId, bodyHash, secrets };
  }
  if (row)
    await pool.query(
      `delete from catalog.requests
       where tenant_id = $1 and method = 'ImportSecrets' and actor = $2 and request_id = $3
         and expires_at <= clock_timestamp()`,
      which,
    );
  return undefined;
}

/** Names among the import whose variable a file-delivered secret fills, or fill one's themselves. */
async function takenNames(pool: Pool, tenantId: string, { writes }: Import): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select wanted.name from unnest($3::text[]) as wanted (name)
     where exists (select from catalog.secrets s
       where s.tenant_id = $1 and s.owner = $2 and not s.is_deleted and s.as_file
         and s.name || '_FILE' = wanted.name)
     order by wanted.name`,
    [tenantId, TENANT, writes.map(({ name }) => name)],
  );
  return rows.map(({ name }) => name);
}
