import type { Db } from "../../../lib/postgres/db";
import type { User } from "../domain/user";
import type { UserStore } from "./user-store";

interface UserRow {
  name: string;
  github_token_secret: string | null;
  revision: bigint;
  created_at: Date;
  updated_at: Date;
  updated_by: string;
}

const COLUMNS = "name, github_token_secret, revision, created_at, updated_at, updated_by";

/** $1 tenant, $2 actor kind, $3 actor, $4 peer, $5 name, $6 secret, $7 expected revision, $8 API key. */
const WRITE = `
with written as (
  insert into catalog.users as u (tenant_id, name, github_token_secret, revision, created_at,
    updated_at, updated_by)
  select $1, $5, $6::text, 1, at, at, $3
  from (select clock_timestamp() as at) as clock
  where $7::bigint is null or $7 = 0
    or exists (select from catalog.users where tenant_id = $1 and name = $5)
  on conflict (tenant_id, name) do update set
    github_token_secret = excluded.github_token_secret,
    revision = u.revision + 1,
    updated_at = excluded.updated_at,
    updated_by = excluded.updated_by
  where $7 is null or $7 = u.revision
  returning ${COLUMNS}
), audited as (
  insert into catalog.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind, object_id,
    outcome, detail)
  select $1, $2, $3, $4, 'user.set', 'user', name, 'ok',
    jsonb_build_object('revision', revision, 'github_token_secret', github_token_secret)
      || jsonb_strip_nulls(jsonb_build_object('api_key', $8::text))
  from written
)
select written.*, github_token_secret is not null and not exists (
    select from catalog.secrets s
    where s.tenant_id = $1 and s.owner = written.name and s.name = github_token_secret
      and not s.is_deleted
  ) as is_secret_missing
from written`;

/** $1 tenant, $2 actor kind, $3 actor, $4 peer, $5 name, $6 API key. */
const DELETE = `
with gone as (
  delete from catalog.users where tenant_id = $1 and name = $5 returning name, revision
), audited as (
  insert into catalog.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind, object_id,
    outcome, detail)
  select $1, $2, $3, $4, 'user.delete', 'user', name, 'ok',
    jsonb_strip_nulls(jsonb_build_object('revision', revision, 'api_key', $6::text))
  from gone
)
select name from gone`;

/** UserStore in PostgreSQL. */
export function createPostgresUserStore(db: Db): UserStore {
  const find = async (tenantId: string, name: string) => {
    const { rows } = await db.query<UserRow>(
      `select ${COLUMNS} from catalog.users where tenant_id = $1 and name = $2`,
      [tenantId, name],
    );
    return rows[0] && fromRow(rows[0]);
  };
  return {
    find,
    async write(caller, { name, githubTokenSecret, expectedRevision }) {
      const { rows } = await db.query<UserRow & { is_secret_missing: boolean }>(WRITE, [
        ...[caller.tenantId, caller.kind, caller.id, caller.peer],
        ...[name, githubTokenSecret ?? null, expectedRevision ?? null, caller.apiKeyId ?? null],
      ]);
      const [row] = rows;
      if (row)
        return { kind: "written", user: fromRow(row), isSecretMissing: row.is_secret_missing };
      const current = await find(caller.tenantId, name);
      return { kind: "revision-conflict", revision: current?.revision ?? 0n };
    },
    async delete(caller, name) {
      const { tenantId, kind, id, peer, apiKeyId } = caller;
      const params = [tenantId, kind, id, peer, name, apiKeyId ?? null];
      return (await db.query(DELETE, params)).rowCount > 0;
    },
    async list(tenantId, { after, limit }) {
      const { rows } = await db.query<UserRow>(
        `select ${COLUMNS} from catalog.users
         where tenant_id = $1 and name > $2 order by name limit $3`,
        [tenantId, after ?? "", limit + 1],
      );
      return rows.map(fromRow);
    },
  };
}

function fromRow(row: UserRow): User {
  return {
    name: row.name,
    githubTokenSecret: row.github_token_secret ?? undefined,
    revision: row.revision,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  };
}
