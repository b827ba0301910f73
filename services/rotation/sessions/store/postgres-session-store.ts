import type { Db } from "../../../../lib/postgres/db";
import type { PageQuery } from "../../../../lib/page";
import { isUuid } from "../../agents/domain/spawn-request";
import type { Session } from "../domain/session";
import type { OwnerRef, SessionStore } from "./session-store";

const IS_OPEN = `s.kind = 'session' and s.revoked_at is null and s.expires_at > clock_timestamp()`;
/** For so long after its end the audit can still say whose a cookie was that somebody comes with. */
const KEPT = "interval '7 days'";

interface SessionRow {
  sequence: bigint;
  credential_id: string;
  created_at: Date;
  expires_at: Date;
  last_used_at: Date | null;
  made_with: string | null;
  key_label: string | null;
  made_from: string;
  label: string;
}

/** SessionStore in `rotation.credentials`. */
export const postgresSessionStore: SessionStore = {
  async insert(tx, it) {
    await tx.query(
      `insert into rotation.credentials (tenant_id, credential_id, kind, label, agent_name, scopes,
         hash, prefix, owner, role, made_with, maker_expires_at, made_from, expires_at)
       values ($1, $2, 'session', $3, '', $4, $5, $6, $7, $8, $9, $10::timestamptz, $11,
         least(clock_timestamp() + $12::bigint * interval '1 second', $10::timestamptz))`,
      [
        ...[it.tenantId, it.id, it.userAgent, it.scopes, it.hash, it.prefix, it.owner, it.role],
        ...[it.apiKeyId ?? null, it.makerExpiresAt ?? null, it.madeFrom, it.maxSeconds],
      ],
    );
    const [made] = await select(tx, it, { id: it.id });
    if (!made) throw new Error("a session that was made is not there");
    return made;
  },
  async find(db, owner, id) {
    const [found] = isUuid(id) ? await select(db, owner, { id }) : [];
    return found;
  },
  list: (db, owner, page) => select(db, owner, { page }),
  async end(tx, { tenantId, owner }, id) {
    if (id !== undefined && !isUuid(id)) return [];
    const { rows } = await tx.query<{ credential_id: string }>(
      `update rotation.credentials s set revoked_at = clock_timestamp()
       where s.tenant_id = $1 and s.owner = $2 and ${IS_OPEN}
         and ($3::uuid is null or s.credential_id = $3) returning s.credential_id`,
      [tenantId, owner, id ?? null],
    );
    return rows.map(({ credential_id }) => credential_id);
  },
  async prune(db, limit) {
    const { rowCount } = await db.query(
      `delete from rotation.credentials where kind = 'session' and hash in (
         select hash from rotation.credentials
         where kind = 'session' and expires_at < clock_timestamp() - ${KEPT}
         order by expires_at limit $1 for update skip locked)`,
      [limit],
    );
    return rowCount;
  },
};

async function select(
  db: Db,
  { tenantId, owner }: OwnerRef,
  { id, page }: { id?: string; page?: PageQuery },
): Promise<Session[]> {
  const { rows } = await db.query<SessionRow>(
    `select s.sequence, s.credential_id, s.created_at, s.expires_at, s.last_used_at, s.made_with,
       k.label as key_label, s.made_from, s.label
     from rotation.credentials s left join rotation.credentials k
       on k.tenant_id = s.tenant_id and k.credential_id = s.made_with
     where s.tenant_id = $1 and s.owner = $2 and ${IS_OPEN}
       and ($3::uuid is null or s.credential_id = $3) and ($4::bigint is null or s.sequence < $4)
     order by s.sequence desc limit $5`,
    [tenantId, owner, id ?? null, page?.after ?? null, (page?.limit ?? 0) + 1],
  );
  return rows.map(fromRow);
}

function fromRow(row: SessionRow): Session {
  return {
    ...{ id: row.credential_id, sequence: row.sequence },
    ...{ createdAt: row.created_at, expiresAt: row.expires_at },
    lastUsedAt: row.last_used_at ?? undefined,
    apiKey: row.made_with === null ? undefined : { id: row.made_with, label: row.key_label ?? "" },
    ...{ madeFrom: row.made_from, userAgent: row.label },
  };
}
