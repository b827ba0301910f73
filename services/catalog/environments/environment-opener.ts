import { timingSafeEqual } from "node:crypto";
import { isAppError } from "../../../lib/errors";
import type { Pool } from "../../../lib/postgres/db";
import { isAgentId } from "../domain/agent-id";
import type { DataKey } from "../domain/data-key";
import { EnvelopeBroken } from "../domain/envelope";
import { fingerprintKeyOf, type OpenOutcome, type OpenRefusal } from "../domain/environment";
import { generationMac } from "../domain/generation-mac";
import { WrappedKeyRefused } from "../keys/key-provider";
import type { TenantKeys } from "../keys/tenant-keys";
import type { FoundGeneration, GenerationStore } from "../store/generation-store";
import { DataKeyNeeded, type OpenKeys, withOpenKeys } from "./open-keys";
import type { OpenSets } from "./open-sets";
import type { SetContent, SetContents } from "./set-contents";

/** Which generation. */
export interface GenerationRef {
  agentId: string;
  generation: bigint;
}

/** A generation that was looked up and not opened yet. */
export interface EnvironmentHandle extends GenerationRef {
  /** Bytes of names and values together; 0 when it will be refused. */
  sizeBytes: number;
  /** The key that the VM holds, read in the same statement; absent for what will be refused. */
  vmKeyThumbprint?: string | undefined;
  /** Decrypts it; never throws for a refusal. */
  open(): Promise<OpenOutcome>;
}

/** Gives VMs the generations that are bound to them. */
export interface EnvironmentOpener {
  /**
   * Looks up generations of this VM's agents; the answer is in the order of the question. Opening
   * is apart, so that an answer that is full decrypts no more. Throws UNAVAILABLE when PostgreSQL
   * is away.
   */
  find(
    tenantId: string,
    vmId: string,
    refs: readonly GenerationRef[],
  ): Promise<EnvironmentHandle[]>;
}

export interface EnvironmentOpenerDeps {
  pool: Pool;
  store: GenerationStore;
  sets: SetContents;
  openSets: OpenSets;
  keys: TenantKeys;
}

export function createEnvironmentOpener(deps: EnvironmentOpenerDeps): EnvironmentOpener {
  return {
    async find(tenantId, vmId, refs) {
      const possible = refs.filter(({ agentId }) => isAgentId(agentId));
      const rows = await deps.store.find(tenantId, vmId, possible);
      const byRef = new Map(rows.map((row) => [nameOf(row), row]));
      const sets = await deps.sets.read(tenantId, distinct(rows.map(({ setId }) => setId)));
      return refs.map(({ agentId, generation }) => {
        const row = byRef.get(nameOf({ agentId, generation }));
        const content = row && sets.get(row.setId.toString("hex"));
        return {
          agentId,
          generation,
          sizeBytes: content?.sizeBytes ?? 0,
          vmKeyThumbprint: row?.vmKeyThumbprint,
          open: () =>
            row ? open(deps, { tenantId, vmId, row, content }) : refuse("not-available"),
        };
      });
    },
  };
}

interface Found {
  tenantId: string;
  vmId: string;
  row: FoundGeneration;
  content: SetContent | undefined;
}

async function open(deps: EnvironmentOpenerDeps, found: Found): Promise<OpenOutcome> {
  try {
    return await withOpenKeys(deps.keys, found.tenantId, (keys) => {
      const key = keys.need(found.row.dataKeyId);
      if (!found.content || !isOurs(key, found)) return refuse("tampered");
      return openContent(deps, found, found.content, keys);
    });
  } catch (error) {
    if (error instanceof EnvelopeBroken || error instanceof WrappedKeyRefused)
      return refuse("tampered");
    // A row that names a key that this tenant has not.
    if (error instanceof DataKeyNeeded) return refuse("tampered");
    if (isAppError(error, "UNAVAILABLE")) return refuse("away");
    throw error;
  }
}

async function openContent(
  { pool, openSets }: EnvironmentOpenerDeps,
  { tenantId, row }: Found,
  { refs }: SetContent,
  keys: OpenKeys,
): Promise<OpenOutcome> {
  const { agentId, generation, unsetNames, floor } = row;
  const set = { tenantId, agentId, setId: row.setId.toString("hex"), refs };
  const variables = await openSets.open(pool, set, keys);
  if (!variables) return refuse("not-available");
  const subkey = keys.need(row.dataKeyId).subkey("fingerprint");
  const fingerprintKey = fingerprintKeyOf(subkey, agentId, generation);
  return {
    kind: "opened",
    environment: { agentId, generation, variables, unsetNames, fingerprintKey, floor },
  };
}

/** Whether this service wrote the row, for this VM. The set was checked against its id before. */
function isOurs(key: DataKey, { tenantId, vmId, row }: Found): boolean {
  const mac = generationMac(key, { tenantId, vmId, ...row });
  return mac.length === row.mac.length && timingSafeEqual(mac, row.mac);
}

function refuse(refusal: OpenRefusal): Promise<OpenOutcome> {
  return Promise.resolve({ kind: "refused", refusal });
}

function nameOf({ agentId, generation }: GenerationRef): string {
  return `${agentId} ${generation}`;
}

function distinct(setIds: readonly Buffer[]): Buffer[] {
  return [...new Map(setIds.map((id) => [id.toString("hex"), id])).values()];
}
