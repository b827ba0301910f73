import type { Db } from "../../../lib/postgres/db";
import type { Caller } from "../audit";
import type { Workspace, WorkspaceWrite } from "../domain/workspace";
import type {
  WorkspaceDeleteOutcome,
  WorkspaceStore,
  WorkspaceWriteOutcome,
} from "./workspace-store";

interface WorkspaceRow {
  name: string;
  description: string | null;
  secret_refs: string[] | null;
  vms: string[];
  revision: bigint;
  created_at: Date;
  updated_at: Date;
  updated_by: string;
}

const COLUMNS = "name, description, secret_refs, vms, revision, created_at, updated_at, updated_by";

/**
 * $1 tenant, $2 actor kind, $3 actor, $4 peer, $5 name, $6 description, $7 refs, $8 vms, $9 expected,
 * $10 API key.
 */
const WRITE = `
with written as (
  insert into catalog.workspaces as w (tenant_id, name, description, secret_refs, vms, revision,
    created_at, updated_at, updated_by)
  select $1, $5, nullif($6::text, ''), $7::text[], $8::text[], 1, at, at, $3
  from (select clock_timestamp() as at) as clock
  where $9::bigint is null or $9 = 0
    or exists (select from catalog.workspaces where tenant_id = $1 and name = $5)
  on conflict (tenant_id, name) do update set
    description = excluded.description,
    secret_refs = excluded.secret_refs,
    vms = excluded.vms,
    revision = w.revision + 1,
    updated_at = excluded.updated_at,
    updated_by = excluded.updated_by
  where $9 is null or $9 = w.revision
  returning ${COLUMNS}
), audited as (
  insert into catalog.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind, object_id,
    outcome, detail)
  select $1, $2, $3, $4, 'workspace.set', 'workspace', name, 'ok',
    jsonb_strip_nulls(jsonb_build_object('revision', revision, 'api_key', $10::text))
  from written
)
select written.*, array(
    select ref from unnest(written.secret_refs) as ref
    where not exists (select from catalog.secrets s
      where s.tenant_id = $1 and s.owner = '' and s.name = ref and not s.is_deleted)
    order by ref
  ) as missing_secrets
from written`;

/** $1 tenant, $2 actor kind, $3 actor, $4 peer, $5 name, $6 API key. */
const DELETE = `
with gone as (
  delete from catalog.workspaces
  where tenant_id = $1 and name = $5 and not exists (
    select from catalog.agents where tenant_id = $1 and workspace = $5 and ended_at is null)
  returning name, revision
), audited as (
  insert into catalog.audit (tenant_id, actor_kind, actor_id, peer, action, object_kind, object_id,
    outcome, detail)
  select $1, $2, $3, $4, 'workspace.delete', 'workspace', name, 'ok',
    jsonb_strip_nulls(jsonb_build_object('revision', revision, 'api_key', $6::text))
  from gone
)
select name from gone`;

/** WorkspaceStore in PostgreSQL. */
export function createPostgresWorkspaceStore(db: Db): WorkspaceStore {
  const find = async (tenantId: string, name: string) => {
    const { rows } = await db.query<WorkspaceRow>(
      `select ${COLUMNS} from catalog.workspaces where tenant_id = $1 and name = $2`,
      [tenantId, name],
    );
    return rows[0] && fromRow(rows[0]);
  };
  return {
    find,
    async write(caller, write): Promise<WorkspaceWriteOutcome> {
      const { rows } = await db.query<WorkspaceRow & { missing_secrets: string[] }>(
        WRITE,
        toParams(caller, write),
      );
      const [row] = rows;
      if (row)
        return { kind: "written", workspace: fromRow(row), missingSecrets: row.missing_secrets };
      const current = await find(caller.tenantId, write.name);
      return { kind: "revision-conflict", revision: current?.revision ?? 0n };
    },
    async delete(caller, name): Promise<WorkspaceDeleteOutcome> {
      const { tenantId, kind, id, peer, apiKeyId } = caller;
      const params = [tenantId, kind, id, peer, name, apiKeyId ?? null];
      if ((await db.query(DELETE, params)).rowCount > 0) return { kind: "deleted" };
      if (!(await find(caller.tenantId, name))) return { kind: "not-found" };
      return { kind: "in-use", agents: await countAgents(db, caller.tenantId, name) };
    },
    async list(tenantId, { after, limit }) {
      const { rows } = await db.query<WorkspaceRow>(
        `select ${COLUMNS} from catalog.workspaces
         where tenant_id = $1 and name > $2 order by name limit $3`,
        [tenantId, after ?? "", limit + 1],
      );
      return rows.map(fromRow);
    },
  };
}

async function countAgents(db: Db, tenantId: string, workspace: string): Promise<bigint> {
  const { rows } = await db.query<{ count: bigint }>(
    `select count(*) from catalog.agents
     where tenant_id = $1 and workspace = $2 and ended_at is null`,
    [tenantId, workspace],
  );
  return rows[0]?.count ?? 0n;
}

function toParams(caller: Caller, write: WorkspaceWrite): unknown[] {
  const { name, description, secretRefs, vms, expectedRevision } = write;
  return [
    ...[caller.tenantId, caller.kind, caller.id, caller.peer, name, description ?? null],
    ...[secretRefs ?? null, vms, expectedRevision ?? null, caller.apiKeyId ?? null],
  ];
}

function fromRow(row: WorkspaceRow): Workspace {
  return {
    name: row.name,
    description: row.description ?? undefined,
    secretRefs: row.secret_refs ?? undefined,
    vms: row.vms,
    revision: row.revision,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  };
}
