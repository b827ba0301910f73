import { ErrorReason } from "../../../../gen/murmur/errors/v1/error_reason";
import { alreadyExists } from "../../../../lib/errors";
import type { Db, Tx } from "../../../../lib/postgres/db";
import { isUniqueViolation } from "../../../../lib/postgres/errors";
import type { LaunchableAgent } from "../domain/agent";
import { settingsToJson } from "../domain/agent-settings";
import {
  AGENT_COLUMNS,
  fromLaunchRow,
  fromRow,
  IS_LIVING,
  JOIN_DESIRED,
  LAUNCH_COLUMNS,
  type AgentRow,
  type LaunchRow,
} from "./agent-row";
import type { AgentWriter, EndedAgent, NewAgent } from "./agent-store";

/** Changes `rotation.agents`. */
export const postgresAgentWriter: AgentWriter = {
  async lockTree(tx, tenantId, rootId, strength) {
    await tx.query(
      `select from rotation.trees where tenant_id = $1 and root_id = $2 for ${strength}`,
      [tenantId, rootId],
      { name: `lock_tree_for_${strength}` },
    );
  },
  async lockParent(tx, tenantId, agentId) {
    const { rows } = await tx.query<AgentRow>(
      `select ${AGENT_COLUMNS} from rotation.agents a
       where a.tenant_id = $1 and a.agent_id = $2 for share`,
      [tenantId, agentId],
    );
    return rows[0] && fromRow(rows[0]);
  },
  async lockAgent(tx, tenantId, agentId) {
    const { rows } = await tx.query<LaunchRow>(
      `select ${AGENT_COLUMNS}, ${LAUNCH_COLUMNS} from rotation.agents a ${JOIN_DESIRED}
       where a.tenant_id = $1 and a.agent_id = $2 for update of a`,
      [tenantId, agentId],
      { name: "lock_agent" },
    );
    return rows[0] && fromLaunchRow(rows[0]);
  },
  async lockSubtree(tx, { tenantId, id, rootId }, alsoIds = []) {
    const { rows } = await tx.query<LaunchRow>(
      `select ${AGENT_COLUMNS}, ${LAUNCH_COLUMNS} from rotation.agents a ${JOIN_DESIRED}
       where a.tenant_id = $1 and a.root_id = $2
         and (a.agent_id = $3 or a.agent_id = any($4)
           or ($3 = any(a.ancestor_ids) and ${IS_LIVING}))
       order by a.agent_id for update of a`,
      [tenantId, rootId, id, alsoIds],
      { name: "lock_subtree" },
    );
    return rows.map(fromLaunchRow);
  },
  async lockAgents(tx, tenantId, agentIds) {
    await lockTreesOf(tx, tenantId, agentIds);
    const { rows } = await tx.query<LaunchRow>(
      `select ${AGENT_COLUMNS}, ${LAUNCH_COLUMNS} from rotation.agents a ${JOIN_DESIRED}
       where a.tenant_id = $1 and a.agent_id = any($2::uuid[])
       order by a.agent_id for update of a`,
      [tenantId, agentIds],
    );
    return rows.map(fromLaunchRow);
  },
  async lockSubtrees(tx, tenantId, agentIds) {
    await lockTreesOf(tx, tenantId, agentIds);
    const { rows } = await tx.query<LaunchRow>(
      `select ${AGENT_COLUMNS}, ${LAUNCH_COLUMNS} from rotation.agents a ${JOIN_DESIRED}
       where a.tenant_id = $1 and (a.agent_id = any($2::uuid[])
         or (${IS_LIVING} and a.ancestor_ids && $2::uuid[]))
       order by a.agent_id for update of a`,
      [tenantId, agentIds],
    );
    return rows.map(fromLaunchRow);
  },
  async setHealthChecks(tx, agents) {
    await tx.query(
      `update rotation.agents a set health_check = c.health_check
       from unnest($1::text[], $2::uuid[], $3::jsonb[]) as c(tenant_id, agent_id, health_check)
       where a.tenant_id = c.tenant_id and a.agent_id = c.agent_id`,
      [
        agents.map(({ tenantId }) => tenantId),
        agents.map(({ id }) => id),
        agents.map(({ healthCheck }) => (healthCheck ? JSON.stringify(healthCheck) : null)),
      ],
    );
  },
  insert,
  async requestHash(db, tenantId, agentId) {
    const { rows } = await db.query<{ request_hash: Buffer }>(
      `select request_hash from rotation.agents where tenant_id = $1 and agent_id = $2`,
      [tenantId, agentId],
    );
    return rows[0]?.request_hash;
  },
  async withdraw(tx, tenantId, agentId) {
    await tx.query(
      `with agent as (
         delete from rotation.agents a
         where a.tenant_id = $1 and a.agent_id = $2 and a.phase = 'starting' and a.desired = 0
           and not exists (select from rotation.agents c
             where c.tenant_id = a.tenant_id and c.parent_id = a.agent_id)
         returning a.tenant_id, a.agent_id
       )
       delete from rotation.trees t using agent a
       where t.tenant_id = a.tenant_id and t.root_id = a.agent_id`,
      [tenantId, agentId],
    );
  },
  end,
  requestKill,
};

async function insert(tx: Tx, agent: NewAgent): Promise<boolean> {
  const { parent } = agent;
  const rootId = parent?.rootId ?? agent.id;
  if (!parent) await insertTree(tx, agent.tenantId, rootId);
  try {
    const { rowCount } = await tx.query(
      `insert into rotation.agents (
         tenant_id, agent_id, workspace, slug, path, parent_id, root_id, ancestor_ids,
         vm_id, vm_name, developer, command, working_directory, request_hash, binding,
         expects_spawn_secrets, launch_mac, settings)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
       on conflict (tenant_id, agent_id) do nothing`,
      [
        ...[agent.tenantId, agent.id, agent.workspace, agent.slug, agent.path],
        ...[parent?.id ?? null, rootId, parent ? [...parent.ancestorIds, parent.id] : []],
        ...[agent.vmId, agent.vmName, agent.developer, agent.command],
        ...[
          agent.workingDirectory,
          agent.requestHash,
          agent.binding,
          agent.expectsSpawnSecrets,
          agent.launchMac,
          settingsToJson(agent.settings),
        ],
      ],
    );
    return rowCount === 1;
  } catch (error) {
    if (!isUniqueViolation(error, "agents_living_slug")) throw error;
    const message = `agent "${agent.path}" already exists in workspace "${agent.workspace}"`;
    throw alreadyExists(ErrorReason.ERROR_REASON_AGENT_EXISTS, message, { slug: agent.slug });
  }
}

async function insertTree(db: Db, tenantId: string, rootId: string): Promise<void> {
  await db.query(
    `insert into rotation.trees (tenant_id, root_id) values ($1, $2) on conflict do nothing`,
    [tenantId, rootId],
  );
}

async function end(tx: Tx, agents: readonly EndedAgent[]): Promise<void> {
  await tx.query(
    `with ended as (
       select a.tenant_id, a.agent_id, e.phase, e.exit_kind, e.exit_value
       from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[])
         as e(tenant_id, agent_id, phase, exit_kind, exit_value)
       join rotation.agents a using (tenant_id, agent_id)
       where ${IS_LIVING} order by a.tenant_id, a.agent_id for update of a
     )
     update rotation.agents a
     set phase = e.phase, exit_kind = e.exit_kind, exit_value = e.exit_value,
         ended_at = clock_timestamp(), processes = '[]', revision = a.revision + 1,
         release_due = true
     from ended e where a.tenant_id = e.tenant_id and a.agent_id = e.agent_id`,
    [
      agents.map(({ tenantId }) => tenantId),
      agents.map(({ id }) => id),
      agents.map(({ phase }) => phase),
      agents.map(({ exit }) => exit.kind),
      agents.map(({ exit }) => exit.value),
    ],
  );
}

async function requestKill(
  tx: Tx,
  tenantId: string,
  agentIds: readonly string[],
): Promise<LaunchableAgent[]> {
  const { rows } = await tx.query<LaunchRow>(
    `with a as (
       update rotation.agents a set kill_requested = true, revision = a.revision + 1
       where a.tenant_id = $1 and a.agent_id = any($2) and ${IS_LIVING}
       returning a.*
     )
     select ${AGENT_COLUMNS}, ${LAUNCH_COLUMNS} from a ${JOIN_DESIRED} order by a.path`,
    [tenantId, agentIds],
  );
  return rows.map(fromLaunchRow);
}

async function lockTreesOf(tx: Tx, tenantId: string, agentIds: readonly string[]): Promise<void> {
  await tx.query(
    `select from rotation.trees t where t.tenant_id = $1 and t.root_id in (
       select a.root_id from rotation.agents a
       where a.tenant_id = $1 and a.agent_id = any($2::uuid[]))
     order by t.root_id for update`,
    [tenantId, agentIds],
  );
}
