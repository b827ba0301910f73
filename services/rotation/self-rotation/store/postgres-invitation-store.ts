import type { Role } from "../../../../lib/identity/principal";
import type { InvitationStore } from "./invitation-store";

/** As long again as it was good, an answer may be asked for again. */
const KEEP = `interval '20 minutes'`;

/** InvitationStore in `rotation.agent_invitations`. */
export const postgresInvitationStore: InvitationStore = {
  async insert(tx, hash, { tenantId, id, role }) {
    const { rows } = await tx.query<{ expires_at: Date }>(
      `insert into rotation.agent_invitations (hash, tenant_id, inviter, role, expires_at)
       values ($1, $2, $3, $4, clock_timestamp() + interval '10 minutes') returning expires_at`,
      [hash, tenantId, id, role],
    );
    const [row] = rows;
    if (!row) throw new Error("an invitation was not inserted");
    return row.expires_at;
  },
  async find(db, hash) {
    const { rows } = await db.query<{ tenant_id: string; inviter: string; role: Role }>(
      "select tenant_id, inviter, role from rotation.agent_invitations where hash = $1",
      [hash],
    );
    return rows.map((row) => ({ tenantId: row.tenant_id, id: row.inviter, role: row.role }))[0];
  },
  async spend(tx, hash, agentId) {
    const { rowCount } = await tx.query(
      `update rotation.agent_invitations set agent_id = $2
       where hash = $1 and agent_id is null and expires_at > clock_timestamp()`,
      [hash, agentId],
    );
    return rowCount > 0;
  },
  async prune(db, limit) {
    const { rowCount } = await db.query(
      `delete from rotation.agent_invitations where hash in (
         select hash from rotation.agent_invitations
         where expires_at < clock_timestamp() - ${KEEP} order by expires_at limit $1
         for update skip locked)`,
      [limit],
    );
    return rowCount;
  },
};
