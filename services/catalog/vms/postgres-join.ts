import { timingSafeEqual } from "node:crypto";
import type { Tx } from "../../../lib/postgres/db";
import { writeAudit } from "../audit";
import { VM_COLUMNS, vmFromRow, type VmRow } from "./postgres-vm-row";
import type { Vm } from "./vm";
import type { JoinAttempt, JoinOutcome, JoinRefusal } from "./vm-store";

interface TokenRow {
  tenant_id: string;
  token_hash: Buffer;
  vm_name: string;
  is_expired: boolean;
  used_at: Date | null;
  used_key: Buffer | null;
  used_from: string | null;
  vm_id: string | null;
}

/**
 * Uses a join token in this transaction. Two machines with one token wait for each other at its
 * row; the second finds it used. A refusal is a result, not an error: its audit row is committed.
 */
export async function joinVm(tx: Tx, attempt: JoinAttempt, newVmId: string): Promise<JoinOutcome> {
  const token = await lockToken(tx, attempt);
  if (!token) return { kind: "refused", why: "unknown" };
  if (token.used_at !== null) return repeatJoin(tx, attempt, token);
  if (token.is_expired) return refuse(tx, attempt, token, "expired");
  const vm = await registerVm(tx, attempt, token, newVmId);
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

async function lockToken(tx: Tx, attempt: JoinAttempt): Promise<TokenRow | undefined> {
  const { rows } = await tx.query<TokenRow>(
    `select tenant_id, token_hash, vm_name, expires_at <= clock_timestamp() as is_expired,
       used_at, used_key, used_from, vm_id
     from catalog.join_tokens where id = $1 for update`,
    [attempt.tokenId],
  );
  const row = rows[0];
  return row && timingSafeEqual(row.token_hash, attempt.tokenHash) ? row : undefined;
}

/** A lost answer can be had again: by the same key, while the token lasts and the key stands. */
async function repeatJoin(tx: Tx, attempt: JoinAttempt, token: TokenRow): Promise<JoinOutcome> {
  if (token.used_key?.equals(attempt.key.raw) !== true) return refuse(tx, attempt, token, "used");
  if (token.is_expired) return refuse(tx, attempt, token, "expired");
  const { rows } = await tx.query<VmRow>(
    `update catalog.vms set last_seen_at = clock_timestamp()
     where tenant_id = $1 and id = $2 and key_thumbprint = $3 and removed_at is null
     returning ${VM_COLUMNS}`,
    [token.tenant_id, token.vm_id, attempt.key.thumbprint],
  );
  if (!rows[0]) return refuse(tx, attempt, token, "removed");
  return { kind: "joined", vm: vmFromRow(rows[0]), isFirst: false };
}

/** Under a name that is taken, the machine takes the VM over: its old key ends here. */
async function registerVm(
  tx: Tx,
  attempt: JoinAttempt,
  token: TokenRow,
  newVmId: string,
): Promise<Vm> {
  const { rows } = await tx.query<VmRow>(
    `insert into catalog.vms (${VM_COLUMNS})
     values ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp())
     on conflict (tenant_id, name) where removed_at is null do update set
       identity_key = excluded.identity_key, key_thumbprint = excluded.key_thumbprint,
       joined_at = excluded.joined_at, last_seen_at = excluded.last_seen_at
     returning ${VM_COLUMNS}`,
    [token.tenant_id, newVmId, token.vm_name, attempt.key.raw, attempt.key.thumbprint],
  );
  if (!rows[0]) throw new Error("an insert that returns gave no row");
  return vmFromRow(rows[0]);
}

async function refuse(
  tx: Tx,
  attempt: JoinAttempt,
  token: TokenRow,
  why: JoinRefusal,
): Promise<JoinOutcome> {
  const caller = {
    tenantId: token.tenant_id,
    kind: "vm",
    id: `key:${attempt.key.thumbprint}`,
    peer: attempt.peer,
  } as const;
  const detail = { why, name: token.vm_name, first_used_from: token.used_from };
  await writeAudit(tx, caller, [
    {
      action: "vm.join",
      objectKind: "join-token",
      objectId: attempt.tokenId,
      outcome: "refused",
      detail,
    },
  ]);
  const first = { tenantId: token.tenant_id, vmName: token.vm_name, peer: token.used_from ?? "" };
  return { kind: "refused", why, first };
}
