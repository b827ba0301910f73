import type { CredentialKind } from "../../../../lib/identity/credential-value";
import type { Role } from "../../../../lib/identity/principal";
import type { Db } from "../../../../lib/postgres/db";
import { IS_LIVING } from "../../agents/store/agent-row";
import type { Person } from "../domain/person";
import type { KnownPerson, PersonRef, PersonStore } from "./person-store";

const COLUMNS = "tenant_id, developer, role, added_at, added_by";

interface PersonRow {
  tenant_id: string;
  developer: string;
  role: Role;
  added_at: Date;
  added_by: string;
}

interface KnownRow extends PersonRow {
  is_removed: boolean;
  tokens_after: number | null;
}

/** PersonStore in `rotation.people`. */
export const postgresPersonStore: PersonStore = {
  find: (db, ref) => findOne(db, ref, ""),
  hold: (tx, ref) => findOne(tx, ref, "for share"),
  lock: (tx, ref) => findOne(tx, ref, "for no key update"),
  async lockOwners(tx, tenantId) {
    const { rows } = await tx.query<{ developer: string }>(
      `select developer from rotation.people
       where tenant_id = $1 and role = 'owner' and removed_at is null
       order by developer for no key update`,
      [tenantId],
    );
    return rows.map(({ developer }) => developer);
  },
  async list(db, tenantId, { after, limit }) {
    const { rows } = await db.query<PersonRow>(
      `select ${COLUMNS} from rotation.people
       where tenant_id = $1 and removed_at is null and ($2::text is null or developer > $2)
       order by developer limit $3`,
      [tenantId, after ?? null, limit + 1],
    );
    return rows.map(fromRow);
  },
  async insert(tx, { tenantId, developer }, { role, addedBy }) {
    const { rows } = await tx.query<PersonRow>(
      `insert into rotation.people (tenant_id, developer, role, added_by) select $1, $2, $3, $4
       where not exists (select from rotation.ended_tenants where tenant_id = $1)
       on conflict (tenant_id, developer) do nothing returning ${COLUMNS}`,
      [tenantId, developer, role, addedBy],
    );
    return rows.map(fromRow)[0];
  },
  async restore(tx, ref, { role, addedBy }) {
    return change(
      tx,
      ref,
      "role = $3, added_by = $4, added_at = clock_timestamp(), removed_at = null",
      [role, addedBy],
    );
  },
  setRole: (tx, ref, role) => change(tx, ref, "role = $3", [role]),
  async remove(tx, ref) {
    await change(
      tx,
      ref,
      `removed_at = clock_timestamp(), tokens_after = clock_timestamp(), signs_in_as = null`,
      [],
    );
    const { rows } = await tx.query<{ kind: CredentialKind }>(
      `update rotation.credentials set revoked_at = clock_timestamp()
       where tenant_id = $1 and owner = $2 and revoked_at is null
         and (expires_at is null or expires_at > clock_timestamp()) returning kind`,
      [ref.tenantId, ref.developer],
    );
    return rows.filter(({ kind }) => kind !== "session").length;
  },
  async countLivingAgents(tx, { tenantId, developer }) {
    const { rows } = await tx.query<{ living: bigint }>(
      `select count(*) as living from rotation.agents a
       where a.tenant_id = $1 and a.developer = $2 and ${IS_LIVING}`,
      [tenantId, developer],
    );
    return Number(rows[0]?.living ?? 0);
  },
};

async function findOne(
  db: Db,
  { tenantId, developer }: PersonRef,
  lock: "" | "for share" | "for no key update",
): Promise<KnownPerson | undefined> {
  const { rows } = await db.query<KnownRow>(
    `select ${COLUMNS}, removed_at is not null as is_removed,
       floor(extract(epoch from tokens_after))::float8 as tokens_after
     from rotation.people where tenant_id = $1 and developer = $2 ${lock}`,
    [tenantId, developer],
    { name: `find_person ${lock}` },
  );
  const [row] = rows;
  if (!row) return undefined;
  return {
    ...fromRow(row),
    isRemoved: row.is_removed,
    tokensAfter: row.tokens_after ?? undefined,
  };
}

async function change(
  db: Db,
  { tenantId, developer }: PersonRef,
  assignments: string,
  values: readonly unknown[],
): Promise<Person> {
  const { rows } = await db.query<PersonRow>(
    `update rotation.people set ${assignments}
     where tenant_id = $1 and developer = $2 returning ${COLUMNS}`,
    [tenantId, developer, ...values],
  );
  const [changed] = rows.map(fromRow);
  if (!changed) throw new Error("the person who is locked is not there");
  return changed;
}

function fromRow(row: PersonRow): Person {
  return {
    tenantId: row.tenant_id,
    developer: row.developer,
    role: row.role,
    addedAt: row.added_at,
    addedBy: row.added_by,
  };
}
