import { randomUUID, timingSafeEqual } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { conflict } from "../../../lib/errors";
import type { Pool, Tx } from "../../../lib/postgres/db";
import { withTransaction } from "../../../lib/postgres/transaction";
import { writeAudit } from "../audit";
import { keyFromRow, macFromRow, VM_COLUMNS, vmFromRow, type VmRow } from "./postgres-vm-row";
import type { Vm } from "./vm";
import { joinTokenParts, vmParts, type RowMac, type VmMacs } from "./vm-macs";
import type { JoinAttempt, JoinOutcome, JoinRefusal } from "./vm-store";

interface TokenRow {
  tenant_id: string;
  id: string;
  token_hash: Buffer;
  vm_name: string;
  expires_at: Date;
  data_key_id: string;
  mac: Buffer;
  is_expired: boolean;
  used_at: Date | null;
  used_key: Buffer | null;
  used_from: string | null;
  vm_id: string | null;
}

const FIND_TOKEN = `
  select tenant_id, id, token_hash, vm_name, expires_at, data_key_id, mac,
    expires_at <= clock_timestamp() as is_expired, used_at, used_key, used_from, vm_id
  from catalog.join_tokens where id = $1`;

interface Join {
  tx: Tx;
  attempt: JoinAttempt;
  token: TokenRow;
  macs: VmMacs;
  makeMac: (parts: readonly string[]) => RowMac;
}

/**
 * Uses a join token. Two machines with one token wait for each other at its row; the second finds
 * it used. A refusal is a result, not an error: its audit row is committed. Keys are fetched before
 * the transaction, which would else hold a connection while it waits for another.
 */
export async function joinVm(
  { pool, macs }: { pool: Pool; macs: VmMacs },
  attempt: JoinAttempt,
): Promise<JoinOutcome> {
  const seen = await findToken(pool, attempt, "");
  if (!seen) return { kind: "refused", why: "unknown" };
  const makeMac = await macs.makerFor(seen.tenant_id);
  const isOurs = await macs.isTrue(seen.tenant_id, macFromRow(seen), partsOf(seen));
  return withTransaction(pool, async (tx) => {
    const token = await findToken(tx, attempt, "for update");
    if (!token) return { kind: "refused", why: "unknown" };
    const join = { tx, attempt, token, macs, makeMac };
    if (!isOurs) return refuse(join, "tampered");
    if (token.used_at !== null) return repeatJoin(join);
    if (token.is_expired) return refuse(join, "expired");
    return firstJoin(join);
  });
}

async function findToken(
  db: Pool | Tx,
  attempt: JoinAttempt,
  lock: "" | "for update",
): Promise<TokenRow | undefined> {
  const { rows } = await db.query<TokenRow>(`${FIND_TOKEN} ${lock}`, [attempt.tokenId]);
  const row = rows[0];
  const isSame = row?.token_hash.length === attempt.tokenHash.length;
  return isSame && timingSafeEqual(row.token_hash, attempt.tokenHash) ? row : undefined;
}

function partsOf({ id, token_hash: hash, vm_name: vmName, expires_at: expiresAt }: TokenRow) {
  return joinTokenParts({ id, hash, vmName, expiresAt });
}

async function firstJoin(join: Join): Promise<JoinOutcome> {
  const { tx, attempt, token } = join;
  const vm = (await insertVm(join)) ?? (await takeOverVm(join));
  await tx.query(
    `update catalog.join_tokens
     set used_at = clock_timestamp(), used_key = $3, used_from = $4, vm_id = $5
     where tenant_id = $1 and id = $2`,
    [token.tenant_id, attempt.tokenId, attempt.key.raw, attempt.peer, vm.id],
  );
  const caller = { tenantId: vm.tenantId, kind: "vm", id: vm.id, peer: attempt.peer } as const;
  const detail = { name: vm.name, key: attempt.key.thumbprint };
  await writeAudit(tx, caller, [
    { action: "vm.join", objectKind: "vm", objectId: vm.id, outcome: "ok", detail },
  ]);
  return { kind: "joined", vm, isFirst: true };
}

async function insertVm({ tx, attempt, token, makeMac }: Join): Promise<Vm | undefined> {
  const vm = { id: randomUUID(), name: token.vm_name };
  const { dataKeyId, mac } = makeMac(vmParts(vm, attempt.key.raw));
  const { rows } = await tx.query<VmRow>(
    `insert into catalog.vms (${VM_COLUMNS})
     values ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp(), $6, $7)
     on conflict (tenant_id, name) where removed_at is null do nothing
     returning ${VM_COLUMNS}`,
    [token.tenant_id, vm.id, vm.name, attempt.key.raw, attempt.key.thumbprint, dataKeyId, mac],
  );
  return rows[0] && vmFromRow(rows[0]);
}

/** Under a name that is taken, the machine takes the VM over: its old key ends here. */
async function takeOverVm({ tx, attempt, token, makeMac }: Join): Promise<Vm> {
  const found = await tx.query<{ id: string }>(
    `select id from catalog.vms
     where tenant_id = $1 and name = $2 and removed_at is null for update`,
    [token.tenant_id, token.vm_name],
  );
  const id = found.rows[0]?.id ?? "";
  const { dataKeyId, mac } = makeMac(vmParts({ id, name: token.vm_name }, attempt.key.raw));
  const { rows } = await tx.query<VmRow>(
    `update catalog.vms set identity_key = $3, key_thumbprint = $4, data_key_id = $5, mac = $6,
       joined_at = clock_timestamp(), last_seen_at = clock_timestamp()
     where tenant_id = $1 and id = $2 returning ${VM_COLUMNS}`,
    [token.tenant_id, id, attempt.key.raw, attempt.key.thumbprint, dataKeyId, mac],
  );
  // It was there for the insert's conflict and was removed before the lock.
  if (!rows[0])
    throw conflict(
      ErrorReason.ERROR_REASON_JOIN_TOKEN_REFUSED,
      "the VM of this name was removed just now, try again",
    );
  return vmFromRow(rows[0]);
}

/** A lost answer can be had again: by the same key, while the token lasts and the key stands. */
async function repeatJoin(join: Join): Promise<JoinOutcome> {
  const { tx, attempt, token, macs } = join;
  if (token.used_key?.equals(attempt.key.raw) !== true) return refuse(join, "used");
  if (token.is_expired) return refuse(join, "expired");
  const { rows } = await tx.query<VmRow>(
    `update catalog.vms set last_seen_at = clock_timestamp()
     where tenant_id = $1 and id = $2 and key_thumbprint = $3 and removed_at is null
     returning ${VM_COLUMNS}`,
    [token.tenant_id, token.vm_id, attempt.key.thumbprint],
  );
  const row = rows[0];
  if (!row) return refuse(join, "removed");
  const parts = vmParts(row, keyFromRow(row).raw);
  if (!(await macs.isTrue(row.tenant_id, macFromRow(row), parts))) return refuse(join, "tampered");
  return { kind: "joined", vm: vmFromRow(row), isFirst: false };
}

async function refuse({ tx, attempt, token }: Join, why: JoinRefusal): Promise<JoinOutcome> {
  const caller = {
    tenantId: token.tenant_id,
    kind: "vm",
    id: `key:${attempt.key.thumbprint}`,
    peer: attempt.peer,
  } as const;
  const detail = { why, name: token.vm_name, first_used_from: token.used_from };
  const object = { objectKind: "join-token", objectId: attempt.tokenId };
  await writeAudit(tx, caller, [{ action: "vm.join", ...object, outcome: "refused", detail }]);
  const first = { tenantId: token.tenant_id, vmName: token.vm_name, peer: token.used_from ?? "" };
  return { kind: "refused", why, first };
}
