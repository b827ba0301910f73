import type { Role } from "../../../../lib/identity/principal";
import type { Db } from "../../../../lib/postgres/db";
import { isUuid } from "../../agents/domain/spawn-request";
import { IS_LIVING } from "../../agents/store/agent-row";
import type { AgentRef, RegisteredAgent } from "../domain/registered-agent";
import type { ListRegisteredAgents, RegisteredAgentStore } from "./registered-agent-store";

const TOKENS = `from rotation.credentials c
       where c.tenant_id = a.tenant_id and c.registered_agent_id = a.agent_id`;
const SELECT = `select a.*, t.credential_id, t.prefix, t.created_at as rotated_at, t.first_used_at,
     o.old_pair_until
   from rotation.self_rotating_agents a
     join lateral (select c.* ${TOKENS} and c.replaced_by is null
       order by c.sequence desc limit 1) t on true
     left join lateral (select max(c.expires_at) as old_pair_until ${TOKENS}
       and c.replaced_by is not null and c.revoked_at is null
       and c.expires_at > clock_timestamp()) o on true`;

/** Of whom nobody ended the present token, as who removes its owner does: it is not to come back. */
function hasToken(agents: string): string {
  return `exists (select from rotation.credentials c where c.tenant_id = ${agents}.tenant_id
         and c.registered_agent_id = ${agents}.agent_id and c.replaced_by is null
         and c.revoked_at is null)`;
}

/** The running agent that an agent `r` is rotated for, as `a`. */
const RUNNING = `rotation.agents a on a.tenant_id = r.tenant_id and a.workspace = r.rotate_workspace
         and a.path = r.rotate_path and a.developer = r.owner and ${IS_LIVING}
         and not a.kill_requested and a.desired > 0 and ${hasToken("r")}`;
const MAX_DUE = 1000;

interface AgentRow {
  sequence: bigint;
  tenant_id: string;
  agent_id: string;
  name: string;
  owner: string;
  role: Role;
  created_at: Date;
  revoked_at: Date | null;
  reuses: bigint;
  reused_at: Date | null;
  rotate_every_seconds: bigint | null;
  rotate_workspace: string | null;
  rotate_path: string | null;
  api_key_name: string | null;
  rotation_secret_name: string | null;
  rotation_due_at: Date | null;
  credential_id: string;
  prefix: string;
  rotated_at: Date;
  first_used_at: Date | null;
  old_pair_until: Date | null;
}

/** RegisteredAgentStore in `rotation.self_rotating_agents`. */
export const postgresRegisteredAgentStore: RegisteredAgentStore = {
  async insert(tx, { tenantId, id, name, owner, role }) {
    await tx.query(
      `insert into rotation.registered_agents (tenant_id, agent_id, name, owner)
       values ($1, $2, $3, $4)`,
      [tenantId, id, name, owner],
    );
    const { rowCount } = await tx.query(
      `insert into rotation.self_rotating_agents (tenant_id, agent_id, name, owner, role)
       values ($1, $2, $3, $4, $5)
       on conflict (tenant_id, name) where revoked_at is null do nothing`,
      [tenantId, id, name, owner, role],
    );
    return rowCount > 0;
  },
  find,
  async findByName(db, tenantId, name) {
    const { rows } = await db.query<AgentRow>(
      `${SELECT} where a.tenant_id = $1 and a.name = $2
       order by a.revoked_at desc nulls first limit 1`,
      [tenantId, name],
    );
    return rows.map(fromRow)[0];
  },
  async lock(tx, ref) {
    if (!isUuid(ref.id)) return undefined;
    // Its pairs are read in a later statement, which sees what others have written until then.
    const { rows } = await tx.query(
      `select from rotation.self_rotating_agents where tenant_id = $1 and agent_id = $2 for update`,
      [ref.tenantId, ref.id],
    );
    return rows.length === 0 ? undefined : find(tx, ref);
  },
  list,
  async revoke(tx, { tenantId, id }) {
    await tx.query(
      `update rotation.self_rotating_agents set revoked_at = clock_timestamp(), rotation_due_at = null
       where tenant_id = $1 and agent_id = $2 and revoked_at is null`,
      [tenantId, id],
    );
    // Its provider key is free for another.
    await tx.query(
      `update rotation.registered_agents set agent_hash = null, key_prefix = '',
         deactivated_at = coalesce(deactivated_at, clock_timestamp())
       where tenant_id = $1 and agent_id = $2`,
      [tenantId, id],
    );
  },
  async listDue(db, tenantId, vmId) {
    const { rows } = await db.query<{ agent_id: string; name: string; due_in_ms: number }>(
      `select r.agent_id, r.name, greatest(0, ceil(1000 * extract(epoch from
         r.rotation_due_at - clock_timestamp())))::float8 as due_in_ms
       from rotation.self_rotating_agents r join ${RUNNING}
       where r.tenant_id = $1 and a.vm_id = $2 and r.rotation_due_at is not null
         and r.revoked_at is null
       order by r.rotation_due_at limit ${MAX_DUE}`,
      [tenantId, vmId],
      { name: "list_due_rotations" },
    );
    return rows.map((row) => ({ agentId: row.agent_id, name: row.name, dueInMs: row.due_in_ms }));
  },
  async findRunning(db, { tenantId, id }, vmId) {
    if (!isUuid(id)) return undefined;
    const { rows } = await db.query<{ running_id: string }>(
      `select a.agent_id as running_id
       from rotation.self_rotating_agents r join ${RUNNING}
       where r.tenant_id = $1 and r.agent_id = $2 and a.vm_id = $3
         and r.rotation_due_at is not null and r.revoked_at is null`,
      [tenantId, id, vmId],
    );
    return rows[0]?.running_id;
  },
  async takeDue(tx, { tenantId, id }, seconds) {
    const { rowCount } = await tx.query(
      `update rotation.self_rotating_agents
       set rotation_due_at = clock_timestamp() + $3::float8 * interval '1 second'
       where tenant_id = $1 and agent_id = $2 and revoked_at is null
         and rotation_due_at <= clock_timestamp() and ${hasToken("self_rotating_agents")}`,
      [tenantId, id, seconds],
    );
    return rowCount > 0;
  },
  async noteRotated(tx, { tenantId, id }) {
    await tx.query(
      `update rotation.self_rotating_agents
       set rotation_due_at = clock_timestamp() + rotate_every_seconds * interval '1 second'
       where tenant_id = $1 and agent_id = $2 and rotation_due_at is not null`,
      [tenantId, id],
    );
  },
  async setAutoRotation(tx, { tenantId, id }, wish) {
    await tx.query(
      `update rotation.self_rotating_agents set rotate_every_seconds = $3, rotate_workspace = $4,
         rotate_path = $5, api_key_name = $6, rotation_secret_name = $7,
         rotation_due_at = case when $3::bigint is null then null else clock_timestamp() end
       where tenant_id = $1 and agent_id = $2`,
      [
        ...[tenantId, id, wish?.everySeconds ?? null, wish?.workspace ?? null, wish?.path ?? null],
        ...[wish?.apiKeyName ?? null, wish?.rotationSecretName ?? null],
      ],
    );
  },
  async noteReuses(db, { tenantId, id }, count) {
    await db.query(
      `update rotation.self_rotating_agents set reuses = reuses + $3, reused_at = clock_timestamp()
       where tenant_id = $1 and agent_id = $2`,
      [tenantId, id, count],
    );
  },
};

async function find(db: Db, { tenantId, id }: AgentRef): Promise<RegisteredAgent | undefined> {
  if (!isUuid(id)) return undefined;
  const { rows } = await db.query<AgentRow>(
    `${SELECT} where a.tenant_id = $1 and a.agent_id = $2`,
    [tenantId, id],
  );
  return rows.map(fromRow)[0];
}

async function list(db: Db, query: ListRegisteredAgents): Promise<RegisteredAgent[]> {
  const { rows } = await db.query<AgentRow>(
    `${SELECT} where a.tenant_id = $1 and ($2::text is null or a.owner = $2)
       and ($3 or a.revoked_at is null) and ($4::bigint is null or a.sequence < $4)
     order by a.sequence desc limit $5`,
    [
      ...[query.tenantId, query.owner ?? null, query.includeRevoked],
      ...[query.page.after ?? null, query.page.limit + 1],
    ],
  );
  return rows.map(fromRow);
}

function fromRow(row: AgentRow): RegisteredAgent {
  return {
    tenantId: row.tenant_id,
    id: row.agent_id,
    name: row.name,
    owner: row.owner,
    role: row.role,
    createdAt: row.created_at,
    revokedAt: row.revoked_at ?? undefined,
    token: {
      id: row.credential_id,
      prefix: row.prefix,
      createdAt: row.rotated_at,
      firstUsedAt: row.first_used_at ?? undefined,
    },
    oldPairUntil: row.old_pair_until ?? undefined,
    reuses: row.reuses,
    reusedAt: row.reused_at ?? undefined,
    autoRotation: autoRotationOf(row),
    sequence: row.sequence,
  };
}

function autoRotationOf(row: AgentRow): RegisteredAgent["autoRotation"] {
  if (row.rotate_every_seconds === null || row.rotation_due_at === null) return undefined;
  return {
    everySeconds: Number(row.rotate_every_seconds),
    workspace: row.rotate_workspace ?? "",
    path: row.rotate_path ?? "",
    apiKeyName: row.api_key_name ?? "",
    rotationSecretName: row.rotation_secret_name ?? "",
    dueAt: row.rotation_due_at,
  };
}
