import type { Db } from "../../../../lib/postgres/db";
import type { CredentialKind } from "../../../../lib/identity/credential-value";
import type { Role } from "../../../../lib/identity/principal";
import { isUuid } from "../../agents/domain/spawn-request";
import type { Credential, CredentialState } from "../domain/credential";
import type { CredentialRef, CredentialStore, ListCredentials } from "./credential-store";

/** Revoked is what somebody ended, for good, whatever the clock does; the rest is told by it. */
export const STATE = `case when revoked_at is not null then 'revoked'
     when expires_at <= clock_timestamp() then 'expired'
     when replaced_by is not null then 'in_grace' else 'active' end`;
/** What it may do now: what it was made with, but never more than its owner. */
const ROLES = "array['member', 'admin', 'owner']";
const ROLE = `(select (${ROLES})[least(array_position(${ROLES}, credentials.role),
       array_position(${ROLES}, person.role))] from rotation.people person
     where person.tenant_id = credentials.tenant_id and person.developer = credentials.owner)`;
const COLUMNS = `sequence, tenant_id, credential_id, kind, label, agent_name, scopes, prefix, owner,
     ${ROLE} as role, created_at, expires_at, revoked_at, last_used_at, replaces, replaced_by,
     registered_agent_id, secret_name, made_with, maker_expires_at,
     registered_agent_id is not null and first_used_at is null as awaits_first_use,
     ${STATE} as state`;
const SECONDS = `interval '1 second'`;

interface CredentialRow {
  sequence: bigint;
  tenant_id: string;
  credential_id: string;
  kind: CredentialKind;
  label: string;
  agent_name: string;
  scopes: string[];
  prefix: string;
  owner: string;
  role: Role;
  state: CredentialState;
  created_at: Date;
  expires_at: Date | null;
  revoked_at: Date | null;
  last_used_at: Date | null;
  replaces: string | null;
  replaced_by: string | null;
  registered_agent_id: string | null;
  secret_name: string | null;
  made_with: string | null;
  maker_expires_at: Date | null;
  awaits_first_use: boolean;
}

/** CredentialStore in `rotation.credentials`. */
export const postgresCredentialStore: CredentialStore = {
  async insert(tx, it) {
    const { rows } = await tx.query<CredentialRow>(
      `insert into rotation.credentials (tenant_id, credential_id, kind, label, agent_name, scopes,
         hash, prefix, owner, role, expires_at, replaces, secret_name)
       select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::timestamptz, $12, $13
       where $11::timestamptz is null or $11::timestamptz > clock_timestamp()
       returning ${COLUMNS}`,
      [
        ...[it.tenantId, it.id, it.kind, it.label, it.agentName, it.scopes, it.hash, it.prefix],
        ...[it.owner, it.role, it.expiresAt ?? null, it.replaces ?? null],
        it.secretName ?? null,
      ],
    );
    return rows.map(fromRow)[0];
  },
  find: (db, ref) => findOne(db, ref, ""),
  lock: (tx, ref) => findOne(tx, ref, "for update"),
  list,
  async replace(tx, { tenantId, id }, by, graceSeconds) {
    const { rows } = await tx.query<CredentialRow>(
      `update rotation.credentials set replaced_by = $3,
         expires_at = least(expires_at, clock_timestamp() + $4::bigint * ${SECONDS}),
         revoked_at = case when $4 = 0 then clock_timestamp() else revoked_at end
       where tenant_id = $1 and credential_id = $2 returning ${COLUMNS}`,
      [tenantId, id, by, graceSeconds],
    );
    return only(rows);
  },
  async succeed(tx, { tenantId, id }, by) {
    const { rows } = await tx.query<CredentialRow>(
      `update rotation.credentials set replaced_by = $3
       where tenant_id = $1 and credential_id = $2 returning ${COLUMNS}`,
      [tenantId, id, by],
    );
    return only(rows);
  },
  async takeBack(tx, { tenantId, id }, successorId) {
    const { rowCount } = await tx.query(
      `with old as (
         update rotation.credentials set replaced_by = null
         where tenant_id = $1 and credential_id = $2 and replaced_by = $3
         returning tenant_id
       )
       update rotation.credentials s set replaces = null,
         revoked_at = least(s.revoked_at, clock_timestamp())
       from old where s.tenant_id = old.tenant_id and s.credential_id = $3`,
      [tenantId, id, successorId],
    );
    return rowCount === 1;
  },
  async findHash(db, { tenantId, id }) {
    const { rows } = await db.query<{ hash: Buffer }>(
      `select hash from rotation.credentials where tenant_id = $1 and credential_id = $2`,
      [tenantId, id],
    );
    return rows[0]?.hash;
  },
  async end(tx, { tenantId, id }, at) {
    const { rows } = await tx.query<CredentialRow>(
      `update rotation.credentials set
         expires_at = case when $3::timestamptz > clock_timestamp() then $3 else expires_at end,
         revoked_at = case when $3::timestamptz > clock_timestamp() then revoked_at
           else least(revoked_at, clock_timestamp()) end
       where tenant_id = $1 and credential_id = $2
         and ($3::timestamptz is null or $3::timestamptz <= clock_timestamp() or
           (revoked_at is null and (expires_at is null or $3::timestamptz <= expires_at)))
       returning ${COLUMNS}`,
      [tenantId, id, at ?? null],
    );
    return rows.map(fromRow)[0];
  },
  async findByHash(db, tenantId, hashes) {
    const { rows } = await db.query<CredentialRow & { hash: Buffer; valid_for_ms: number | null }>(
      `select ${COLUMNS}, hash,
         (extract(epoch from expires_at - clock_timestamp()) * 1000)::float8 as valid_for_ms
       from rotation.credentials
       where hash = any($2::bytea[]) and ($1::text is null or tenant_id = $1)`,
      [tenantId ?? null, hashes],
      { name: "find_credentials_by_hash" },
    );
    const found = rows.map((row) => {
      const validForMs = row.valid_for_ms ?? undefined;
      return [row.hash.toString("base64"), { credential: fromRow(row), validForMs }] as const;
    });
    return new Map(found);
  },
};

/** Of one that is locked. */
function only(rows: readonly CredentialRow[]): Credential {
  const [row] = rows;
  if (!row) throw new Error("the credential that is locked is not there");
  return fromRow(row);
}

async function findOne(db: Db, { tenantId, id }: CredentialRef, lock: "" | "for update") {
  if (!isUuid(id)) return undefined;
  const { rows } = await db.query<CredentialRow>(
    `select ${COLUMNS} from rotation.credentials where tenant_id = $1 and credential_id = $2 ${lock}`,
    [tenantId, id],
  );
  return rows.map(fromRow)[0];
}

async function list(db: Db, query: ListCredentials): Promise<Credential[]> {
  const { rows } = await db.query<CredentialRow>(
    `select ${COLUMNS} from rotation.credentials
     where tenant_id = $1 and kind <> 'session' and ($2::text is null or kind = $2) and ($3::text is null or owner = $3)
       and ($4 or (revoked_at is null and
         (expires_at is null or expires_at > clock_timestamp())))
       and ($5::bigint is null or sequence < $5)
     order by sequence desc limit $6`,
    [
      ...[query.tenantId, query.kind ?? null, query.owner ?? null, query.includeEnded],
      ...[query.page.after ?? null, query.page.limit + 1],
    ],
  );
  return rows.map(fromRow);
}

function fromRow(row: CredentialRow): Credential {
  return {
    tenantId: row.tenant_id,
    id: row.credential_id,
    kind: row.kind,
    label: row.label,
    agentName: row.agent_name,
    scopes: row.scopes,
    prefix: row.prefix,
    owner: row.owner,
    role: row.role,
    state: row.state,
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    lastUsedAt: row.last_used_at ?? undefined,
    replaces: row.replaces ?? undefined,
    replacedBy: row.replaced_by ?? undefined,
    registeredAgentId: row.registered_agent_id ?? undefined,
    awaitsFirstUse: row.awaits_first_use,
    secretName: row.secret_name ?? undefined,
    madeWith: row.kind === "session" ? makerOf(row) : undefined,
    sequence: row.sequence,
  };
}

function makerOf(row: CredentialRow): Credential["madeWith"] {
  return { apiKeyId: row.made_with ?? undefined, expiresAt: row.maker_expires_at ?? undefined };
}
