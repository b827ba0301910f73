import type { Db } from "../../../../lib/postgres/db";
import { isUuid } from "../../agents/domain/spawn-request";
import type { BoundAgent } from "../domain/bound-agent";
import type { BindingStore, BoundAgentRef, ListBoundAgents } from "./binding-store";

const COLUMNS = `sequence, tenant_id, agent_id, name, owner, agent_hash, key_prefix, created_at,
     rekeyed_at, rekey_count, observed_at, deactivated_at, traces, scores, trust_edges,
     (select s.revoked_at from rotation.self_rotating_agents s
       where s.tenant_id = registered_agents.tenant_id and s.agent_id = registered_agents.agent_id)
       as revoked_at`;

interface AgentRow {
  sequence: bigint;
  tenant_id: string;
  agent_id: string;
  name: string;
  owner: string | null;
  agent_hash: Buffer | null;
  key_prefix: string;
  created_at: Date;
  rekeyed_at: Date | null;
  rekey_count: number;
  observed_at: Date | null;
  deactivated_at: Date | null;
  traces: bigint;
  scores: bigint;
  trust_edges: bigint;
  revoked_at: Date | null;
}

/** BindingStore in `rotation.registered_agents`. */
export const postgresBindingStore: BindingStore = {
  find,
  async lock(tx, ref) {
    if (!isUuid(ref.id)) return undefined;
    // Whether it is revoked is read in a later statement, which sees what others have written until then.
    const { rows } = await tx.query(
      `select from rotation.registered_agents where tenant_id = $1 and agent_id = $2 for update`,
      [ref.tenantId, ref.id],
    );
    return rows.length === 0 ? undefined : find(tx, ref);
  },
  async findByHash(db, tenantId, hash) {
    const { rows } = await db.query<AgentRow>(
      `select ${COLUMNS} from rotation.registered_agents where tenant_id = $1 and agent_hash = $2`,
      [tenantId, hash],
    );
    return rows.map(fromRow)[0];
  },
  list,
  async noteSeen(db, { tenantId, hash, keyPrefix }) {
    // A write per request would be a row version per request: what is seen again writes nothing.
    const { rows } = await db.query<{ agent_id: string }>(
      `with seen as (
         select agent_id, observed_at, key_prefix from rotation.registered_agents
         where tenant_id = $1 and agent_hash = $2
       ), noted as (
         update rotation.registered_agents it set observed_at = clock_timestamp(),
           key_prefix = case when it.key_prefix = '' then $3 else it.key_prefix end
         from seen where it.tenant_id = $1 and it.agent_id = seen.agent_id and it.agent_hash = $2
           and (seen.observed_at is null or (seen.key_prefix = '' and $3 <> '')
             or seen.observed_at < clock_timestamp() - interval '1 minute')
       )
       select agent_id from seen`,
      [tenantId, hash, keyPrefix],
      { name: "note_key_seen" },
    );
    return rows[0]?.agent_id;
  },
  async insertShadow(tx, id, { tenantId, hash, name, keyPrefix }) {
    const { rows } = await tx.query<AgentRow>(
      `insert into rotation.registered_agents (tenant_id, agent_id, name, agent_hash, key_prefix,
         observed_at)
       values ($1, $2, $3, $4, $5, clock_timestamp())
       on conflict (tenant_id, agent_hash) do nothing returning ${COLUMNS}`,
      [tenantId, id, name, hash, keyPrefix],
    );
    return rows.map(fromRow)[0];
  },
  rebind: (tx, ref, hash, keyPrefix) =>
    change(tx, ref, {
      set: `agent_hash = $3, key_prefix = $4, rekeyed_at = clock_timestamp(),
        rekey_count = rekey_count + 1, deactivated_at = null, observed_at = null`,
      params: [hash, keyPrefix],
    }),
  async fillPrefix(db, { tenantId, id }, { hash, keyPrefix }) {
    const { rows } = await db.query<AgentRow>(
      `update rotation.registered_agents set key_prefix = $3
       where tenant_id = $1 and agent_id = $2 and agent_hash = $4 and key_prefix = ''
       returning ${COLUMNS}`,
      [tenantId, id, keyPrefix, hash],
    );
    return rows.map(fromRow)[0];
  },
  claim: (tx, ref, owner) => change(tx, ref, { set: "owner = $3", params: [owner] }),
  deactivate: (tx, ref) =>
    change(tx, ref, {
      set: "agent_hash = null, key_prefix = '', deactivated_at = clock_timestamp()",
      params: [],
    }),
  addHistory: (tx, ref, { traces, scores, trustEdges }) =>
    change(tx, ref, {
      set: `traces = greatest(traces, $3), scores = greatest(scores, $4),
        trust_edges = greatest(trust_edges, $5)`,
      params: [traces, scores, trustEdges],
    }),
};

/** Of a row that the transaction holds. */
async function change(
  db: Db,
  { tenantId, id }: BoundAgentRef,
  { set, params }: { set: string; params: unknown[] },
): Promise<BoundAgent> {
  const { rows } = await db.query<AgentRow>(
    `update rotation.registered_agents set ${set}
     where tenant_id = $1 and agent_id = $2 returning ${COLUMNS}`,
    [tenantId, id, ...params],
  );
  const [changed] = rows.map(fromRow);
  if (!changed) throw new Error("the agent that is locked is not there");
  return changed;
}

async function find(db: Db, { tenantId, id }: BoundAgentRef): Promise<BoundAgent | undefined> {
  if (!isUuid(id)) return undefined;
  const { rows } = await db.query<AgentRow>(
    `select ${COLUMNS} from rotation.registered_agents where tenant_id = $1 and agent_id = $2`,
    [tenantId, id],
  );
  return rows.map(fromRow)[0];
}

async function list(db: Db, query: ListBoundAgents): Promise<BoundAgent[]> {
  const { tenantId, owner, name, includeDeactivated, page } = query;
  const { rows } = await db.query<AgentRow>(
    `select ${COLUMNS} from rotation.registered_agents
     where tenant_id = $1 and ${ownedBy(owner)} and ($3::text is null or name = $3)
       and ($4 or deactivated_at is null) and ($5::bigint is null or sequence < $5)
     order by sequence desc limit $6`,
    [
      ...[tenantId, owner ?? null, name ?? null, includeDeactivated],
      ...[page.after ?? null, page.limit + 1],
    ],
  );
  return rows.map(fromRow);
}

/** As an index can tell, which "is not distinct from" it cannot. */
function ownedBy(owner: ListBoundAgents["owner"]): string {
  if (owner === undefined) return "$2::text is null";
  return owner === null ? "owner is null and $2::text is null" : "owner = $2";
}

function fromRow(row: AgentRow): BoundAgent {
  return {
    tenantId: row.tenant_id,
    id: row.agent_id,
    name: row.name,
    owner: row.owner ?? undefined,
    hash: row.agent_hash ?? undefined,
    keyPrefix: row.key_prefix,
    createdAt: row.created_at,
    rekeyedAt: row.rekeyed_at ?? undefined,
    rekeyCount: row.rekey_count,
    observedAt: row.observed_at ?? undefined,
    deactivatedAt: row.deactivated_at ?? undefined,
    history: { traces: row.traces, scores: row.scores, trustEdges: row.trust_edges },
    revokedAt: row.revoked_at ?? undefined,
    sequence: row.sequence,
  };
}
