import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransaction } from "../../../lib/postgres/transaction";
import { type Caller, writeAudit } from "../audit";
import { batched } from "../store/batched";
import { joinVm } from "./postgres-join";
import { keyFromRow, macFromRow, VM_COLUMNS, vmFromRow, type VmRow } from "./postgres-vm-row";
import type { IdentityKey, Vm } from "./vm";
import { joinTokenParts, vmParts, type RowMac, type VmMacs } from "./vm-macs";
import type { KeyLookup, NewJoinToken, Removal, VmStore } from "./vm-store";

const REMOVALS_LIMIT = 1000;
/** How long a spent token is remembered, so that its second use is still noticed. */
const TOKEN_MEMORY = "30 days";

export interface PostgresVmStoreDeps {
  pool: Pool;
  macs: VmMacs;
}

/** The register in the schema `catalog`. */
export function createPostgresVmStore({ pool, macs }: PostgresVmStoreDeps): VmStore {
  // Asked in every fetch, of the database: what is saved is statements, not questions.
  const hasRights = batched((claims: readonly Claim[]) => checkRights(pool, claims));
  return {
    issueJoinToken: async (caller, token) => {
      const makeMac = await macs.makerFor(caller.tenantId);
      return withTransaction(pool, (tx) => issueJoinToken(tx, caller, token, makeMac));
    },
    join: (attempt) => joinVm({ pool, macs }, attempt),
    findKey: (vmId) => findKey(pool, macs, vmId),
    findDeparted: (vmId) => findDeparted(pool, vmId),
    touch: async (tenantId, vmId, keyThumbprint) => {
      const { rowCount } = await pool.query(
        `update catalog.vms set last_seen_at = clock_timestamp()
         where tenant_id = $1 and id = $2 and key_thumbprint = $3 and removed_at is null`,
        [tenantId, vmId, keyThumbprint],
        { name: "touch-vm" },
      );
      return rowCount === 1;
    },
    auditRefusal: (vm, peer, action) => auditRefusal(pool, vm, peer, action),
    hasRights: (tenantId, vmId, keyThumbprint) => hasRights({ tenantId, vmId, keyThumbprint }),
    list: async (tenantId, { limit, after }, name) => {
      const { rows } = await pool.query<VmRow>(
        `select ${VM_COLUMNS} from catalog.vms
         where tenant_id = $1 and removed_at is null
           and name > coalesce($2::text, '') and ($3::text is null or name = $3)
         order by name limit $4`,
        [tenantId, after, name, limit],
      );
      return rows.map(vmFromRow);
    },
    remove: (caller, name) => withTransaction(pool, (tx) => removeVm(tx, caller, name)),
    listRemovals: (afterSequence) => listRemovals(pool, afterSequence),
  };
}

interface DepartedRow extends Pick<
  VmRow,
  "tenant_id" | "id" | "name" | "identity_key" | "key_thumbprint"
> {
  ended_at: Date;
}

interface Claim {
  tenantId: string;
  vmId: string;
  keyThumbprint: string;
}

async function checkRights(pool: Pool, claims: readonly Claim[]): Promise<boolean[]> {
  const { rows } = await pool.query<{ claim: number }>(
    `select claimed.claim
     from unnest((select $1::text[]), (select $2::text[]), (select $3::text[]), (select $4::int[]))
       as claimed (tenant_id, id, key_thumbprint, claim)
     cross join lateral (
       select from catalog.vms
       where tenant_id = claimed.tenant_id and id = claimed.id
         and key_thumbprint = claimed.key_thumbprint and removed_at is null limit 1) v`,
    [
      claims.map(({ tenantId }) => tenantId),
      claims.map(({ vmId }) => vmId),
      claims.map(({ keyThumbprint }) => keyThumbprint),
      claims.map((_, claim) => claim),
    ],
    { name: "check-vm-rights" },
  );
  const found = new Set(rows.map(({ claim }) => claim));
  return claims.map((_, claim) => found.has(claim));
}

async function findKey(pool: Pool, macs: VmMacs, vmId: string): Promise<KeyLookup> {
  const { rows } = await pool.query<VmRow>(
    `select ${VM_COLUMNS} from catalog.vms where id = $1 and removed_at is null`,
    [vmId],
    { name: "find-vm-key" },
  );
  const row = rows[0];
  if (!row) return { kind: "unknown" };
  const vm = vmFromRow(row);
  const key = keyFromRow(row);
  const isOurs = await macs.isTrue(vm.tenantId, macFromRow(row), vmParts(vm, key.raw));
  return isOurs ? { kind: "found", vm, key } : { kind: "tampered", vm };
}

/** Without a MAC, whose key is gone: what its token is good for is to be told to end agents. */
async function findDeparted(
  pool: Pool,
  vmId: string,
): Promise<{ vm: Vm; key: IdentityKey } | undefined> {
  const { rows } = await pool.query<DepartedRow>(
    `select d.tenant_id, d.id, d.name, d.identity_key, d.key_thumbprint, e.ended_at
     from catalog.departed_vms d join catalog.ended_tenants e using (tenant_id) where d.id = $1`,
    [vmId],
  );
  const [row] = rows;
  if (!row) return undefined;
  const { tenant_id: tenantId, id, name, ended_at: endedAt } = row;
  const key = { raw: row.identity_key, thumbprint: row.key_thumbprint };
  return { vm: { tenantId, id, name, joinedAt: endedAt, lastSeenAt: endedAt }, key };
}

async function issueJoinToken(
  tx: Tx,
  caller: Caller,
  token: NewJoinToken,
  makeMac: (parts: readonly string[]) => RowMac,
): Promise<Date> {
  const { tenantId } = caller;
  await tx.query(
    `delete from catalog.join_tokens
     where tenant_id = $1 and expires_at < clock_timestamp() - $2::interval`,
    [tenantId, TOKEN_MEMORY],
  );
  // To the millisecond, as the MAC covers it and a Date has no more.
  const { rows } = await tx.query<{ expires_at: Date }>(
    `select date_trunc('milliseconds', clock_timestamp() + make_interval(secs => $1)) as expires_at`,
    [token.ttlSeconds],
  );
  const expiresAt = rows[0]?.expires_at ?? new Date(0);
  const { dataKeyId, mac } = makeMac(joinTokenParts({ ...token, expiresAt }));
  await tx.query(
    `insert into catalog.join_tokens
       (tenant_id, id, token_hash, vm_name, issued_by, issued_at, expires_at, data_key_id, mac)
     values ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8)
     on conflict (tenant_id, vm_name) where used_at is null do update set
       id = excluded.id, token_hash = excluded.token_hash, issued_by = excluded.issued_by,
       issued_at = excluded.issued_at, expires_at = excluded.expires_at,
       data_key_id = excluded.data_key_id, mac = excluded.mac`,
    [tenantId, token.id, token.hash, token.vmName, caller.id, expiresAt, dataKeyId, mac],
  );
  await writeAudit(tx, caller, [
    { action: "vm.join-token", objectKind: "vm", objectId: token.vmName, outcome: "ok" },
  ]);
  return expiresAt;
}

async function removeVm(tx: Tx, caller: Caller, name: string): Promise<string | undefined> {
  const { rows } = await tx.query<{ id: string }>(
    `update catalog.vms set removed_at = clock_timestamp(), mac = ''
     where tenant_id = $1 and name = $2 and removed_at is null returning id`,
    [caller.tenantId, name],
  );
  const vmId = rows[0]?.id;
  if (vmId === undefined) return undefined;
  // A token that waits would bring the name back behind the admin's back.
  await tx.query(
    "delete from catalog.join_tokens where tenant_id = $1 and vm_name = $2 and used_at is null",
    [caller.tenantId, name],
  );
  await writeAudit(tx, caller, [
    { action: "vm.remove", objectKind: "vm", objectId: vmId, outcome: "ok", detail: { name } },
  ]);
  // Last, as it locks out other removals until the commit.
  await tx.query(
    `with counter as (
       update catalog.vm_removals set last_sequence = last_sequence + 1 returning last_sequence)
     insert into catalog.removed_vms (sequence, tenant_id, vm_id, removed_at)
     select last_sequence, $1, $2, clock_timestamp() from counter`,
    [caller.tenantId, vmId],
  );
  return vmId;
}

/** The bound is the database's, so that a flood of bad signatures does not flood the audit. */
async function auditRefusal(pool: Pool, vm: Vm, peer: string, action: string): Promise<void> {
  await pool.query(
    `with due as (
       update catalog.vms set refused_at = clock_timestamp()
       where tenant_id = $1 and id = $2
         and (refused_at is null or refused_at < clock_timestamp() - interval '1 minute')
       returning id)
     insert into catalog.audit (tenant_id, actor_kind, actor_id, peer,
       action, object_kind, object_id, outcome)
     select $1, 'vm', 'unproven', $3, $4, 'vm', id, 'refused' from due`,
    [vm.tenantId, vm.id, peer, action],
  );
}

async function listRemovals(pool: Pool, afterSequence: bigint): Promise<Removal[]> {
  const { rows } = await pool.query<{ sequence: bigint; tenant_id: string; vm_id: string }>(
    // A number that was never given is from before a restore: answered from the start.
    `select sequence, tenant_id, vm_id from catalog.removed_vms
     where sequence > case when $1::bigint <= (select last_sequence from catalog.vm_removals)
                      then $1::bigint else 0 end
     order by sequence limit $2`,
    [afterSequence, REMOVALS_LIMIT],
    { name: "list-vm-removals" },
  );
  return rows.map((row) => ({
    sequence: row.sequence,
    tenantId: row.tenant_id,
    vmId: row.vm_id,
  }));
}
