import { garbledPageToken } from "../../../../lib/page";
import type { Db } from "../../../../lib/postgres/db";
import {
  AGENT_COLUMNS,
  fromLaunchRow,
  fromRow,
  IS_LIVING,
  JOIN_DESIRED,
  LAUNCH_COLUMNS,
  type AgentRow,
  type LaunchRow,
  type ProcessesRow,
} from "./agent-row";
import { isText } from "./is-text";
import type {
  AgentEvidence,
  AgentListQuery,
  AgentStore,
  AgentTree,
  EvidenceQuery,
  LivingQuery,
} from "./agent-store";
import type { Agent } from "../domain/agent";

/** How many ended descendants are shown: a tree may have had any number of them. */
const MAX_ENDED_SHOWN = 100;

/** The same as agentKey. */
const AGENT_KEY = `a.tenant_id || '/' || a.agent_id`;

/** Reads agents from `rotation.agents`. */
export function createPostgresAgentStore(db: Db): AgentStore {
  return {
    find: (tenantId, agentId) => find(db, tenantId, agentId),
    async findAll(tenantId, agentIds) {
      const { rows } = await db.query<AgentRow>(
        `select ${AGENT_COLUMNS} from rotation.agents a
         where a.tenant_id = $1 and a.agent_id = any($2::uuid[])
         order by a.workspace, a.path, a.agent_id`,
        [tenantId, agentIds],
      );
      return rows.map(fromRow);
    },
    async findLiving(query) {
      return isText(query.workspace ?? "") ? findLiving(db, query) : [];
    },
    async findTree(tenantId, workspace, path) {
      return isText(workspace) && isText(path)
        ? findTree(db, [tenantId, workspace, path])
        : undefined;
    },
    async findProcesses(tenantId, agentId) {
      const { rows } = await db.query<Pick<ProcessesRow, "processes">>(
        `select processes from rotation.agents where tenant_id = $1 and agent_id = $2`,
        [tenantId, agentId],
      );
      return rows[0]?.processes ?? [];
    },
    async list(query) {
      return isText(query.workspace ?? "") ? list(db, query) : [];
    },
    async listEvidence(query) {
      return isText(query.workspace ?? "") ? listEvidence(db, query) : [];
    },
    countLiving: (tenantId, vmIds) => countLiving(db, tenantId, vmIds),
    async desiredOfVm(on, tenantId, vmId) {
      const { rows } = await on.query<LaunchRow>(
        `select ${AGENT_COLUMNS}, ${LAUNCH_COLUMNS} from rotation.agents a ${JOIN_DESIRED}
         where a.tenant_id = $1 and a.vm_id = $2 and ${IS_LIVING} and a.desired > 0
         order by a.path, a.agent_id`,
        [tenantId, vmId],
        { name: "desired_of_vm" },
      );
      return rows.map(fromLaunchRow);
    },
    async desiredOf(tenantIds, agentIds) {
      const { rows } = await db.query<LaunchRow>(
        `select ${AGENT_COLUMNS}, ${LAUNCH_COLUMNS}
         from unnest($1::text[], $2::uuid[]) as n(tenant_id, agent_id)
         join rotation.agents a using (tenant_id, agent_id) ${JOIN_DESIRED}
         where a.desired > 0`,
        [tenantIds, agentIds],
        { name: "desired_of_agents" },
      );
      return rows.map(fromLaunchRow);
    },
    async findWithoutGeneration(before, limit, not) {
      const { rows } = await db.query<AgentRow>(
        `select ${AGENT_COLUMNS} from rotation.agents a
         where a.phase = 'starting' and a.desired = 0 and a.created_at < $1
           and not (${AGENT_KEY} = any($3))
         order by a.created_at limit $2`,
        [before, limit, not],
      );
      return rows.map(fromRow);
    },
    async findRefused(reason, limit, not) {
      const { rows } = await db.query<AgentRow>(
        `select ${AGENT_COLUMNS} from rotation.agents a
         where a.failed_generation is not null and a.failed_generation = a.desired
           and a.failed_reason = $1 and ${IS_LIVING} and not a.kill_requested
           and not (${AGENT_KEY} = any($3))
         order by row_number() over (partition by a.tenant_id order by a.failed_at, a.agent_id),
           a.failed_at limit $2`,
        [reason, limit, not],
      );
      return rows.map(fromRow);
    },
  };
}

async function find(db: Db, tenantId: string, agentId: string): Promise<Agent | undefined> {
  const { rows } = await db.query<AgentRow>(
    `select ${AGENT_COLUMNS} from rotation.agents a where a.tenant_id = $1 and a.agent_id = $2`,
    [tenantId, agentId],
    { name: "find_agent" },
  );
  return rows[0] && fromRow(rows[0]);
}

/** One statement, since a rekey begins with it. */
async function findTree(
  db: Db,
  key: [tenantId: string, workspace: string, path: string],
): Promise<AgentTree | undefined> {
  const { rows } = await db.query<AgentRow & { is_named: boolean }>(
    `with named as (
       select a.agent_id, a.root_id from rotation.agents a
       where a.tenant_id = $1 and a.workspace = $2 and a.path = $3
       order by ${IS_LIVING} desc, a.created_at desc limit 1
     ), tree as (
       select a.*, ${IS_LIVING} as is_living, row_number() over (
           partition by ${IS_LIVING} order by a.ended_at desc, a.agent_id) as place
       from named n join rotation.agents a
         on a.tenant_id = $1 and a.root_id = n.root_id and n.agent_id = any(a.ancestor_ids)
     )
     select ${AGENT_COLUMNS}, true as is_named
     from named n join rotation.agents a on a.tenant_id = $1 and a.agent_id = n.agent_id
     union all
     select ${AGENT_COLUMNS}, false from tree a
     where a.is_living or a.place <= ${MAX_ENDED_SHOWN}
     order by is_named desc, path, agent_id`,
    key,
    { name: "find_agent_tree" },
  );
  const [first, ...others] = rows;
  return first && { agent: fromRow(first), descendants: others.map(fromRow) };
}

async function list(db: Db, query: AgentListQuery): Promise<Agent[]> {
  const { tenantId, workspace, vmId, includeEnded, page } = query;
  const after = page.after === undefined ? ["", "", null] : readKey(page.after);
  const { rows } = await db.query<AgentRow>(
    `select ${AGENT_COLUMNS} from rotation.agents a
     where a.tenant_id = $1
       and ($2::text is null or a.workspace = $2)
       and ($3::text is null or a.vm_id = $3)
       and ($4 or ${IS_LIVING})
       and ($7::uuid is null or (a.workspace, a.path, a.agent_id) > ($5, $6, $7::uuid))
     order by a.workspace, a.path, a.agent_id
     limit $8`,
    [tenantId, workspace ?? null, vmId ?? null, includeEnded, ...after, page.limit + 1],
  );
  return rows.map(fromRow);
}

async function findLiving(db: Db, query: LivingQuery): Promise<Agent[]> {
  const { tenantId, workspace, under, limit } = query;
  const { rows } = await db.query<AgentRow>(
    `select ${AGENT_COLUMNS} from rotation.agents a
     where a.tenant_id = $1 and ${IS_LIVING} and ($2::text is null or a.workspace = $2)
       and ($3::uuid[] is null or a.agent_id = any($3) or a.ancestor_ids && $3)
     order by a.workspace, a.path, a.agent_id limit $4`,
    [tenantId, workspace ?? null, under ?? null, limit + 1],
  );
  return rows.map(fromRow);
}

async function listEvidence(db: Db, query: EvidenceQuery): Promise<AgentEvidence[]> {
  const { tenantId, workspace, page } = query;
  const after = page.after === undefined ? ["", "", null] : readKey(page.after);
  const { rows } = await db.query<ProcessesRow & { coming: bigint[] }>(
    `select ${AGENT_COLUMNS}, a.processes, array(
       select g.generation from rotation.generations g
       where g.tenant_id = a.tenant_id and g.agent_id = a.agent_id
         and g.generation > a.applied and g.generation <= a.desired order by 1) as coming
     from rotation.agents a
     where a.tenant_id = $1 and ($2::text is null or a.workspace = $2) and ${IS_LIVING}
       and ($5::uuid is null or (a.workspace, a.path, a.agent_id) > ($3, $4, $5::uuid))
     order by a.workspace, a.path, a.agent_id
     limit $6`,
    [tenantId, workspace ?? null, ...after, page.limit + 1],
  );
  return rows.map((row) => {
    const { processes, coming } = row;
    return { agent: fromRow(row), processes, coming: coming.map(BigInt) };
  });
}

/** The key of an agent in lists, for page tokens. */
export function listKeyOf(agent: Agent): string {
  return JSON.stringify([agent.workspace, agent.path, agent.id]);
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function readKey(text: string): string[] {
  const key = parse(text);
  if (!isTexts(key) || key.length !== 3 || !UUID.test(key[2] ?? "")) throw garbledPageToken();
  return key;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((part) => typeof part === "string" && isText(part));
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined; // Not a key of ours: refused by the caller.
  }
}

async function countLiving(
  db: Db,
  tenantId: string,
  vmIds: readonly string[],
): Promise<Map<string, number>> {
  const { rows } = await db.query<{ vm_id: string; living: number }>(
    `select a.vm_id, count(*)::integer as living from rotation.agents a
     where a.tenant_id = $1 and a.vm_id = any($2) and ${IS_LIVING} group by a.vm_id`,
    [tenantId, vmIds],
  );
  return new Map(rows.map((row) => [row.vm_id, row.living]));
}
