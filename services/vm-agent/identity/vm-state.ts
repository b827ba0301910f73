import { join } from "node:path";
import { readIfPresent, replaceFile } from "../processes/small-file";

/** Who this machine is, as the catalog told it at its join; survives reboots. */
export interface VmState {
  vmId: string;
  tenantId: string;
  name: string;
  /** The catalog's delivery keys that this VM pins: raw Ed25519, 32 bytes each. */
  deliveryPublicKeys: readonly Buffer[];
  /** SHA-256 of the join token that was used, hex: tells a new token from the spent one. */
  joinTokenHash: string;
}

const FILE = "vm.json";
const LAYOUT = 1;

/** Undefined when the machine has not joined; throws when the file is damaged. */
export function readVmState(directory: string): VmState | undefined {
  const path = join(directory, FILE);
  const text = readIfPresent(path);
  if (text === undefined) return undefined;
  const state = parseVmState(text);
  if (!state) throw new Error(`${path} is damaged; remove it and join again with a new join token`);
  return state;
}

/** Replaces the file as a whole, durably. */
export function writeVmState(directory: string, state: VmState): void {
  replaceFile(join(directory, FILE), formatVmState(state));
}

export function formatVmState(state: VmState): string {
  const { vmId, tenantId, name, joinTokenHash } = state;
  const deliveryPublicKeys = state.deliveryPublicKeys.map((key) => key.toString("base64url"));
  const content = { layout: LAYOUT, vmId, tenantId, name, deliveryPublicKeys, joinTokenHash };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Undefined for a text that `formatVmState` did not make. */
export function parseVmState(text: string): VmState | undefined {
  const content = parseObject(text);
  const { vmId, tenantId, name, joinTokenHash, deliveryPublicKeys: keys } = content;
  if (content["layout"] !== LAYOUT || !Array.isArray(keys) || keys.length === 0) return undefined;
  if (!isText(vmId) || !isText(tenantId) || !isText(name) || !isText(joinTokenHash))
    return undefined;
  const deliveryPublicKeys = keys.map((key) => Buffer.from(isText(key) ? key : "", "base64url"));
  if (deliveryPublicKeys.some((key) => key.length !== 32)) return undefined;
  return { vmId, tenantId, name, deliveryPublicKeys, joinTokenHash };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {}; // Damaged: refused by the caller.
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
