import { endTenant } from "../../../../lib/identity/ended-tenants";
import type { Db, Tx } from "../../../../lib/postgres/db";
import { IS_LIVING } from "../../agents/store/agent-row";
import type { DeletionStage, TenantDeletion } from "../domain/tenant-deletion";
import type { DeletionStore, HeldDeletion } from "./deletion-store";

const MS = `interval '1 millisecond'`;

/** How many agents live, and the names of their VMs. */
const LIVING = `
  select count(*)::int as agents_living,
    coalesce(array_agg(distinct a.vm_name), '{}') as waiting_vms
  from rotation.agents a where a.tenant_id = $1 and ${IS_LIVING}`;

/**
 * All that a tenant has, in the order in which it is removed: rows before those that they refer to. What is
 * left are the audit, the fact itself, and announcements, which have ids only and an hour to live.
 */
const TABLES = [
  "sealed_answers",
  "agent_invitations",
  "exchanged_tokens",
  "attempts",
  "evidence_cases",
  "canaries",
  "targets",
  "rollouts",
  "generations",
  "agents",
  "trees",
  "vms",
  "credentials",
  "self_rotating_agents",
  "registered_agents",
  "people",
] as const;
/** A successor refers to the one before it. */
const NEWEST_FIRST = new Set<string>(["credentials"]);

const BATCH = 2_000;
/** To end a hundred thousand keys at once takes longer than a statement has otherwise. */
const END_TIMEOUT_MS = 20_000;

/** DeletionStore in `rotation.tenant_deletions`. */
export const postgresDeletionStore: DeletionStore = {
  async ask(tx, { tenantId, requestHash, requestedBy }) {
    const { rowCount } = await tx.query(
      `insert into rotation.tenant_deletions (tenant_id, request_hash, requested_by)
       values ($1, $2, $3) on conflict (tenant_id) do nothing`,
      [tenantId, requestHash, requestedBy],
    );
    if (rowCount === 1) return { isNew: true };
    const { rowCount: same } = await tx.query(
      `select from rotation.tenant_deletions where tenant_id = $1 and request_hash = $2`,
      [tenantId, requestHash],
    );
    return same === 1 ? { isNew: false } : undefined;
  },
  find,
  async stageOf(db, tenantId) {
    const { rows } = await db.query<{ stage: DeletionStage }>(
      `select stage from rotation.tenant_deletions where tenant_id = $1`,
      [tenantId],
    );
    return rows[0]?.stage;
  },
  end,
  async beginPurge(tx, tenantId) {
    const { rowCount } = await tx.query(
      `update rotation.tenant_deletions d set stage = 'purging',
         agents_living = l.agents_living, waiting_vms = l.waiting_vms
       from (${LIVING}) l
       where d.tenant_id = $1 and d.stage = 'ending' and d.purge_after <= clock_timestamp()`,
      [tenantId],
    );
    return rowCount === 1;
  },
  async finish(tx, tenantId) {
    const { rowCount } = await tx.query(
      `update rotation.tenant_deletions set stage = 'done', finished_at = clock_timestamp()
       where tenant_id = $1 and stage = 'purging'`,
      [tenantId],
    );
    return rowCount === 1;
  },
  async claim(db, limit, holdMs) {
    const { rows } = await db.query<HeldRow>(
      `update rotation.tenant_deletions d set look_after = clock_timestamp() + $2 * ${MS}
       from (select tenant_id from rotation.tenant_deletions
         where stage <> 'done' and look_after <= clock_timestamp()
         order by look_after limit $1 for update skip locked) due
       where d.tenant_id = due.tenant_id
       returning d.tenant_id, d.stage, d.requested_by, d.purge_after <= clock_timestamp() as is_due`,
      [limit, holdMs],
      { name: "claim_tenant_deletions" },
    );
    return rows.map(toHeld);
  },
  async letGo(db, tenantId, forMs) {
    await db.query(
      `update rotation.tenant_deletions set look_after = clock_timestamp() + $2 * ${MS}
       where tenant_id = $1`,
      [tenantId, forMs],
    );
  },
  async findLivingTrees(db, tenantId, limit) {
    const { rows } = await db.query<{ root_id: string }>(
      `select distinct a.root_id from rotation.agents a
       where a.tenant_id = $1 and ${IS_LIVING} and not a.kill_requested limit $2`,
      [tenantId, limit],
    );
    return rows.map(({ root_id }) => root_id);
  },
  async removeSome(db, tenantId) {
    for (const table of TABLES) {
      const order = NEWEST_FIRST.has(table) ? "order by sequence desc" : "";
      const { rowCount } = await db.query(
        `delete from rotation.${table} where ctid = any(array(
           select ctid from rotation.${table} where tenant_id = $1 ${order} limit $2))`,
        [tenantId, BATCH],
      );
      if (rowCount > 0) return rowCount;
    }
    return 0;
  },
};

interface HeldRow {
  tenant_id: string;
  stage: HeldDeletion["stage"];
  requested_by: string;
  is_due: boolean | null;
}

function toHeld(row: HeldRow): HeldDeletion {
  return {
    tenantId: row.tenant_id,
    stage: row.stage,
    requestedBy: row.requested_by,
    isDue: row.is_due ?? false,
  };
}

interface DeletionRow {
  tenant_id: string;
  stage: DeletionStage;
  requested_by: string;
  requested_at: Date;
  ended_at: Date | null;
  purge_after: Date | null;
  finished_at: Date | null;
  agents_living: number;
  waiting_vms: string[];
}

async function find(db: Db, requestHash: Buffer): Promise<TenantDeletion | undefined> {
  const { rows } = await db.query<DeletionRow>(
    `select tenant_id, stage, requested_by, requested_at, ended_at, purge_after, finished_at,
       agents_living, waiting_vms
     from rotation.tenant_deletions where request_hash = $1`,
    [requestHash],
  );
  const [row] = rows;
  if (!row) return undefined;
  const deletion = fromRow(row);
  if (row.stage !== "asked" && row.stage !== "ending") return deletion;
  const living = await db.query<Pick<DeletionRow, "agents_living" | "waiting_vms">>(LIVING, [
    row.tenant_id,
  ]);
  return { ...deletion, ...toLiving(living.rows[0] ?? row) };
}

function fromRow(row: DeletionRow): TenantDeletion {
  return {
    tenantId: row.tenant_id,
    stage: row.stage,
    requestedBy: row.requested_by,
    requestedAt: row.requested_at,
    endedAt: row.ended_at ?? undefined,
    purgeAfter: row.purge_after ?? undefined,
    finishedAt: row.finished_at ?? undefined,
    ...toLiving(row),
  };
}

function toLiving(row: Pick<DeletionRow, "agents_living" | "waiting_vms">) {
  return { agentsLiving: row.agents_living, waitingVms: row.waiting_vms };
}

/**
 * What of a person or a key is held by a transaction that makes another is waited for, and what comes after
 * finds them ended: nothing is left behind that counts.
 */
async function end(tx: Tx, tenantId: string, purgeAfterMs: number): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update rotation.tenant_deletions set stage = 'ending', ended_at = clock_timestamp(),
       purge_after = clock_timestamp() + $2::bigint * ${MS}
     where tenant_id = $1 and stage = 'asked'`,
    [tenantId, purgeAfterMs],
  );
  if (rowCount === 0) return false;
  await endTenant(tx, "rotation", tenantId);
  await tx.query(`set local statement_timeout = ${END_TIMEOUT_MS}`);
  const limit = { timeoutMs: END_TIMEOUT_MS };
  await tx.query(
    `update rotation.people set removed_at = clock_timestamp(), tokens_after = clock_timestamp(),
       signs_in_as = null
     where tenant_id = $1 and removed_at is null`,
    [tenantId],
    limit,
  );
  await tx.query(
    `update rotation.credentials set revoked_at = clock_timestamp()
     where tenant_id = $1 and revoked_at is null
       and (expires_at is null or expires_at > clock_timestamp())`,
    [tenantId],
    limit,
  );
  for (const table of ["agent_invitations", "sealed_answers"])
    await tx.query(`delete from rotation.${table} where tenant_id = $1`, [tenantId]);
  return true;
}
