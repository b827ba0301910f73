import { timingSafeEqual } from "node:crypto";
import type { DataKey } from "../domain/data-key";
import { macOf } from "../domain/envelope";
import type { TenantKeys } from "../keys/tenant-keys";

/** What makes a row of the register this service's own. */
export interface RowMac {
  dataKeyId: string;
  mac: Buffer;
}

/** Makes and checks the MACs of rows that give rights to a machine. */
export interface VmMacs {
  /** A maker for rows of one tenant; the key is fetched here, so that it can be used within a transaction. */
  makerFor(tenantId: string): Promise<(parts: readonly string[]) => RowMac>;
  isTrue(tenantId: string, row: RowMac, parts: readonly string[]): Promise<boolean>;
}

const REMEMBERED = 100_000;

/**
 * MACs under a subkey of the tenant's data key. One that was true once is remembered, so that VMs
 * which this replica has met renew their tokens while the key provider is away.
 */
export function createVmMacs(keys: TenantKeys): VmMacs {
  let known = new Set<string>();
  const mac = (key: DataKey, tenantId: string, parts: readonly string[]) =>
    macOf(key.subkey("vm-mac"), [tenantId, ...parts]);
  return {
    async makerFor(tenantId) {
      const key = await keys.current(tenantId);
      return (parts) => ({ dataKeyId: key.id, mac: mac(key, tenantId, parts) });
    },
    async isTrue(tenantId, row, parts) {
      const name = rowName(tenantId, row, parts);
      if (known.has(name)) return true;
      const key = await keys.find(tenantId, row.dataKeyId);
      if (!key) return false;
      const expected = mac(key, tenantId, parts);
      if (row.mac.length !== expected.length || !timingSafeEqual(row.mac, expected)) return false;
      if (known.size >= REMEMBERED) known = new Set();
      known.add(name);
      return true;
    },
  };
}

/** Everything that the verdict depends on. */
function rowName(tenantId: string, row: RowMac, parts: readonly string[]): string {
  return JSON.stringify([tenantId, row.dataKeyId, row.mac.toString("base64"), ...parts]);
}

/** What the MAC of a VM's row covers, beside the tenant. */
export function vmParts(vm: { id: string; name: string }, rawKey: Buffer): string[] {
  return ["vm", vm.id, vm.name, rawKey.toString("base64")];
}

/** What the MAC of a join token's row covers, beside the tenant. */
export function joinTokenParts(token: {
  id: string;
  hash: Buffer;
  vmName: string;
  expiresAt: Date;
}): string[] {
  const { id, hash, vmName, expiresAt } = token;
  return ["join-token", id, hash.toString("base64"), vmName, expiresAt.toISOString()];
}
