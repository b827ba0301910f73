import { permissionDenied } from "../../../../lib/errors";
import type { Tx } from "../../../../lib/postgres/db";
import type { CredentialState } from "../../credentials/domain/credential";
import { STATE } from "../../credentials/store/postgres-credential-store";
import type { AgentRef } from "../domain/registered-agent";
import type { NewPair, PairStore, PresentedToken } from "./pair-store";

const OF_AGENT = "tenant_id = $1 and registered_agent_id = $2";
const IS_VALID = "revoked_at is null and (expires_at is null or expires_at > clock_timestamp())";

interface PresentedRow {
  tenant_id: string;
  credential_id: string;
  state: CredentialState;
  is_replaced: boolean;
  first_used_at: Date | null;
  rotation_secret_hash: Buffer | null;
  agent_id: string | null;
  name: string | null;
  is_revoked: boolean;
}

/** PairStore in `rotation.credentials`. */
export const postgresPairStore: PairStore = {
  async findPresented(db, hash) {
    const { rows } = await db.query<PresentedRow>(
      `select c.tenant_id, c.credential_id, ${STATE} as state, c.replaced_by is not null as is_replaced,
         c.first_used_at, c.rotation_secret_hash, a.agent_id, a.name, a.is_revoked
       from rotation.credentials c
         left join (select tenant_id, agent_id, name, revoked_at is not null as is_revoked
           from rotation.self_rotating_agents) a
           on a.tenant_id = c.tenant_id and a.agent_id = c.registered_agent_id
       where c.hash = $1 and c.kind = 'agent-token'`,
      [hash],
      { name: "find_presented_pair" },
    );
    return rows.map(fromRow)[0];
  },
  async insert(tx, agent, pair, { ids, seconds }) {
    const { tenantId, id } = agent;
    await holdOwner(tx, agent);
    const head = await replaceHead(tx, agent, pair.id);
    await tx.query(
      `update rotation.credentials set
         revoked_at = case when $3::uuid[] is null or credential_id = any($3) then revoked_at
           else clock_timestamp() end,
         expires_at = case when $3::uuid[] is null or credential_id = any($3)
           then least(expires_at, clock_timestamp() + $4::float8 * interval '1 second') else expires_at end
       where ${OF_AGENT} and ${IS_VALID}`,
      [tenantId, id, ids === "all" ? null : ids, seconds ?? null],
    );
    await insertToken(tx, agent, pair, head);
  },
  async capOlder(tx, { tenantId, id }, credentialId, seconds) {
    await tx.query(
      `update rotation.credentials set
         expires_at = least(expires_at, clock_timestamp() + $4::float8 * interval '1 second')
       where ${OF_AGENT} and ${IS_VALID} and sequence <
         (select sequence from rotation.credentials where tenant_id = $1 and credential_id = $3)`,
      [tenantId, id, credentialId, seconds],
    );
  },
  async endAll(tx, { tenantId, id }) {
    await tx.query(
      `update rotation.credentials set revoked_at = clock_timestamp()
       where ${OF_AGENT} and ${IS_VALID}`,
      [tenantId, id],
    );
  },
  async confirm(tx, { tenantId, id }, credentialId) {
    const { rows } = await tx.query<{ sequence: bigint }>(
      `update rotation.credentials set first_used_at = clock_timestamp()
       where ${OF_AGENT} and credential_id = $3 and first_used_at is null and ${IS_VALID}
       returning sequence`,
      [tenantId, id, credentialId],
    );
    const [confirmed] = rows;
    if (!confirmed) return false;
    // Not those after it: a pair may be on its way to an agent that uses the one before it still.
    await tx.query(
      `update rotation.credentials set revoked_at = clock_timestamp()
       where ${OF_AGENT} and sequence < $3 and ${IS_VALID}`,
      [tenantId, id, confirmed.sequence],
    );
    return true;
  },
};

/** Whoever removes them meanwhile waits, and ends this pair, too; of who was removed none is made. */
async function holdOwner(tx: Tx, { tenantId, id }: AgentRef): Promise<void> {
  const { rowCount } = await tx.query(
    `select from rotation.people p
       join rotation.self_rotating_agents r on r.tenant_id = p.tenant_id and r.owner = p.developer
     where r.tenant_id = $1 and r.agent_id = $2 and p.removed_at is null for share of p`,
    [tenantId, id],
  );
  if (rowCount === 0)
    throw permissionDenied("the owner of the agent is not in the tenant any more");
}

/** The id of the newest token until now, which is told its successor; undefined when it is the first. */
async function replaceHead(tx: Tx, { tenantId, id }: AgentRef, by: string) {
  const { rows } = await tx.query<{ credential_id: string }>(
    `update rotation.credentials set replaced_by = $3
     where ${OF_AGENT} and replaced_by is null returning credential_id`,
    [tenantId, id, by],
  );
  return rows[0]?.credential_id;
}

/** It has no end of its own. */
async function insertToken(tx: Tx, agent: AgentRef, pair: NewPair, replaces: string | undefined) {
  await tx.query(
    `insert into rotation.credentials (tenant_id, credential_id, kind, label, agent_name, scopes, hash,
       prefix, owner, role, replaces, registered_agent_id, rotation_secret_hash)
     select tenant_id, $3, 'agent-token', '', name, '{}', $4, $5, owner, role, $6, agent_id, $7
     from rotation.self_rotating_agents where tenant_id = $1 and agent_id = $2`,
    [
      ...[agent.tenantId, agent.id, pair.id, pair.hash, pair.prefix],
      ...[replaces ?? null, pair.secretHash],
    ],
  );
}

function fromRow(row: PresentedRow): PresentedToken {
  const { agent_id: id, name } = row;
  return {
    tenantId: row.tenant_id,
    id: row.credential_id,
    state: row.state,
    isReplaced: row.is_replaced,
    firstUsedAt: row.first_used_at ?? undefined,
    secretHash: row.rotation_secret_hash ?? undefined,
    agent: id === null || name === null ? undefined : { id, name, isRevoked: row.is_revoked },
  };
}
