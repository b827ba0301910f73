import type { IdentityKey, Vm } from "./vm";
import type { RowMac } from "./vm-macs";

/** A row of catalog.vms, read with VM_COLUMNS. */
export interface VmRow {
  tenant_id: string;
  id: string;
  name: string;
  identity_key: Buffer;
  key_thumbprint: string;
  joined_at: Date;
  last_seen_at: Date;
  data_key_id: string;
  mac: Buffer;
}

export const VM_COLUMNS =
  "tenant_id, id, name, identity_key, key_thumbprint, joined_at, last_seen_at, data_key_id, mac";

export function vmFromRow(row: VmRow): Vm {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    name: row.name,
    joinedAt: row.joined_at,
    lastSeenAt: row.last_seen_at,
  };
}

export function keyFromRow(row: VmRow): IdentityKey {
  return { raw: row.identity_key, thumbprint: row.key_thumbprint };
}

export function macFromRow(row: { data_key_id: string; mac: Buffer }): RowMac {
  return { dataKeyId: row.data_key_id, mac: row.mac };
}
