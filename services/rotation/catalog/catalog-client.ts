import {
  EnvironmentServiceService,
  type AgentGeneration,
  type AgentToSnapshot,
  type EnvironmentPreview,
  type FindPinsResponse,
} from "../../../gen/murmur/catalog/v1/environments";
import {
  CredentialSecretServiceService,
  type FindCredentialHoldersResponse,
} from "../../../gen/murmur/catalog/v1/credential_secrets";
import { TenantDataServiceService } from "../../../gen/murmur/catalog/v1/tenant_data";
import { VmServiceService, type Vm } from "../../../gen/murmur/catalog/v1/vms";
import { WorkspaceServiceService } from "../../../gen/murmur/catalog/v1/workspaces";
import { isAppError } from "../../../lib/errors";
import {
  createClient,
  withCredentials,
  type Channel,
  type ClientOf,
} from "../../../lib/grpc/client";
import { serviceCredentials } from "../../../lib/identity/credentials";
import type { Sensitive } from "../../../lib/sensitive";
import type { SigningKey } from "../../../lib/identity/signing-key";
import type { GenuineAgent } from "../agents/agent-bindings";
import type { Snapshot } from "../rollouts/domain/plan-rekey";

/** A VM of the register. */
export interface RegisteredVm {
  vmId: string;
  name: string;
}

/** What is still needed of an agent's generations. */
export interface Release {
  agentId: string;
  floor: bigint;
  confirmed: bigint;
  ended: boolean;
}

export interface RemovedVm {
  sequence: bigint;
  tenantId: string;
  vmId: string;
}

/** A credential's successor on its way into a tenant secret (StageCredential). */
export interface StagedSuccessor {
  /** Also what it is stored and discarded by. */
  id: string;
  secretName: string;
  value: Sensitive<string>;
  /** Of the one that the secret has now; undefined: there is no such secret. */
  replacesHash: Buffer | undefined;
  developer: string;
  apiKeyId: string | undefined;
}

/** Versions of a tenant secret that had a credential. */
export interface CarryingVersions {
  secretName: string;
  from: bigint;
  below: bigint;
  hash: Buffer;
}

/** What rotation asks of the catalog, each call within one tenant. */
export interface CatalogClient {
  /**
   * One new generation for each agent, all or none for every thousand of them. Those in `rollbackTo`
   * get the pins that they had in that generation.
   */
  snapshot(
    agents: readonly GenuineAgent[],
    requestId: string,
    rollbackTo?: ReadonlyMap<string, bigint>,
  ): Promise<Snapshot[]>;
  /** Which version of a secret these generations pin (FindPins). */
  findPins(
    tenantId: string,
    secretName: string,
    generations: readonly AgentGeneration[],
  ): Promise<FindPinsResponse>;
  /** What snapshots would change against what these agents should be on (PreviewEnvironments). */
  preview(agents: readonly GenuineAgent[]): Promise<EnvironmentPreview[]>;
  /** Names of the VMs that a workspace's agents are spawned on. */
  workspaceVms(tenantId: string, workspace: string): Promise<readonly string[]>;
  /** The VM of that name, or all. */
  vms(tenantId: string, name?: string): Promise<RegisteredVm[]>;
  /** Gives new values to secrets of an agent that lives (SetAgentSecrets). */
  setAgentSecrets(
    tenantId: string,
    agentId: string,
    values: ReadonlyMap<string, Sensitive<string>>,
  ): Promise<void>;
  /** Has a successor kept for a secret (StageCredential). */
  stageCredential(tenantId: string, successor: StagedSuccessor): Promise<void>;
  /** As which version it is stored now (StoreStagedCredential). */
  storeStagedCredential(tenantId: string, id: string): Promise<bigint>;
  /**
   * As which version it was stored, and stays; undefined: it never will be (DiscardStagedCredential). Once
   * settled, nobody asks for it any more.
   */
  discardStagedCredential(
    tenantId: string,
    id: string,
    how?: { isSettled: boolean },
  ): Promise<bigint | undefined>;
  /** Which generations have a credential (FindCredentialHolders). */
  findCredentialHolders(
    tenantId: string,
    which: CarryingVersions,
    retired: boolean | undefined,
  ): Promise<FindCredentialHoldersResponse>;
  release(tenantId: string, releases: readonly Release[]): Promise<void>;
  removedVms(afterSequence: bigint): Promise<RemovedVm[]>;
  /** Nobody of the tenant is let in there any more when it resolves (EndTenant). */
  endTenant(tenantId: string): Promise<void>;
  /** Removes some of what an ended tenant has there; true: nothing is left (PurgeTenant). */
  purgeTenant(tenantId: string): Promise<boolean>;
}

export interface CatalogClientDeps {
  channel: Channel;
  /** Signs this service's tokens. */
  key: SigningKey;
}

interface TenantClients {
  environments: ClientOf<typeof EnvironmentServiceService>;
  workspaces: ClientOf<typeof WorkspaceServiceService>;
  vms: ClientOf<typeof VmServiceService>;
  credentialSecrets: ClientOf<typeof CredentialSecretServiceService>;
  tenantData: ClientOf<typeof TenantDataServiceService>;
}

/** The catalog takes at most so many agents in a call. */
const MAX_BATCH = 1000;
/** And tells of at most so many generations in one. */
const MAX_PINS = 10_000;
/** As many answers of a thousand names each as fit in a message. */
const MAX_PREVIEWED = 100;
const SNAPSHOT_TIMEOUT_MS = 10_000;
const READ_TIMEOUT_MS = 5_000;
/** Stands for all tenants, in the one call that is about all. */
const INSTALLATION = "installation";
const MAX_TENANTS_KEPT = 1_000;

export function createCatalogClient({ channel, key }: CatalogClientDeps): CatalogClient {
  const byTenant = new Map<string, TenantClients>();
  const clientsOf = (tenantId: string): TenantClients => {
    const known = byTenant.get(tenantId);
    if (known) return known;
    if (byTenant.size >= MAX_TENANTS_KEPT) byTenant.clear();
    const made = connect(channel, key, tenantId);
    byTenant.set(tenantId, made);
    return made;
  };
  return {
    async snapshot(agents, requestId, rollbackTo) {
      const batches = chunks(agents, MAX_BATCH).map((batch, index) =>
        snapshotBatch(clientsOf(batch[0]?.tenantId ?? ""), batch, {
          requestId: index === 0 ? requestId : `${requestId}:${index}`,
          rollbackTo,
        }),
      );
      return (await Promise.all(batches)).flat();
    },
    async preview(agents) {
      const previews: EnvironmentPreview[] = [];
      for (const batch of chunks(agents, MAX_PREVIEWED)) {
        const { environments } = clientsOf(batch[0]?.tenantId ?? "");
        const request = {
          agents: batch.map((agent) => ({
            agent: toSnapshotWish(agent),
            fromGeneration: agent.desired,
          })),
        };
        const control = { timeoutMs: SNAPSHOT_TIMEOUT_MS };
        previews.push(
          ...(await asOurs(environments.previewEnvironments(request, control))).previews,
        );
      }
      return previews;
    },
    async findPins(tenantId, secretName, generations) {
      const { environments } = clientsOf(tenantId);
      const answer: FindPinsResponse = { pins: [], unknown: [], hadAgentIds: [] };
      // Without any, it is still asked whether the name is one.
      const batches = generations.length === 0 ? [[]] : chunks(generations, MAX_PINS);
      for (const batch of batches) {
        const request = { secretName, generations: batch };
        const found = await asOurs(
          environments.findPins(request, { timeoutMs: SNAPSHOT_TIMEOUT_MS }),
        );
        answer.pins.push(...found.pins);
        answer.unknown.push(...found.unknown);
        answer.hadAgentIds.push(...found.hadAgentIds);
      }
      return answer;
    },
    async workspaceVms(tenantId, name) {
      const { workspaces } = clientsOf(tenantId);
      const { workspace } = await asOurs(
        workspaces.getWorkspace({ name }, { timeoutMs: READ_TIMEOUT_MS }),
      );
      return workspace?.vms ?? [];
    },
    vms: (tenantId, name) => listVms(clientsOf(tenantId), name),
    async setAgentSecrets(tenantId, agentId, values) {
      const { environments } = clientsOf(tenantId);
      const secrets = [...values].map(([name, value]) => ({
        ...{ name, plaintextValue: Buffer.from(value.expose()) },
      }));
      const control = { timeoutMs: READ_TIMEOUT_MS };
      await asOurs(environments.setAgentSecrets({ agentId, secrets }, control));
    },
    ...carrying((tenantId) => clientsOf(tenantId).credentialSecrets),
    async release(tenantId, releases) {
      const { environments } = clientsOf(tenantId);
      const request = { releases: [...releases] };
      await asOurs(environments.releaseGenerations(request, { timeoutMs: READ_TIMEOUT_MS }));
    },
    async removedVms(afterSequence) {
      const { vms } = clientsOf(INSTALLATION);
      const asked = vms.listRemovedVms({ afterSequence }, { timeoutMs: READ_TIMEOUT_MS });
      return (await asOurs(asked)).removed;
    },
    async endTenant(tenantId) {
      const { tenantData } = clientsOf(tenantId);
      await asOurs(tenantData.endTenant({}, { timeoutMs: READ_TIMEOUT_MS }));
    },
    async purgeTenant(tenantId) {
      const { tenantData } = clientsOf(tenantId);
      const some = tenantData.purgeTenant({}, { timeoutMs: SNAPSHOT_TIMEOUT_MS });
      return (await asOurs(some)).done;
    },
  };
}

type Carrying = Pick<
  CatalogClient,
  "stageCredential" | "storeStagedCredential" | "discardStagedCredential" | "findCredentialHolders"
>;

function carrying(clientOf: (tenantId: string) => TenantClients["credentialSecrets"]): Carrying {
  const control = { timeoutMs: READ_TIMEOUT_MS };
  return {
    async stageCredential(tenantId, { id: stagedId, value, replacesHash, ...successor }) {
      const request = {
        ...{ stagedId, secretName: successor.secretName, developer: successor.developer },
        plaintextValue: Buffer.from(value.expose()),
        replacesSha256: replacesHash ?? Buffer.alloc(0),
        apiKeyId: successor.apiKeyId ?? "",
      };
      await asOurs(clientOf(tenantId).stageCredential(request, control));
    },
    async storeStagedCredential(tenantId, stagedId) {
      const stored = clientOf(tenantId).storeStagedCredential({ stagedId }, control);
      return (await asOurs(stored)).version;
    },
    async discardStagedCredential(tenantId, stagedId, { isSettled } = { isSettled: false }) {
      const request = { stagedId, isSettled };
      const discarded = clientOf(tenantId).discardStagedCredential(request, control);
      const { storedVersion } = await asOurs(discarded);
      return storedVersion === 0n ? undefined : storedVersion;
    },
    findCredentialHolders(tenantId, { secretName, from, below, hash }, retired) {
      const request = {
        ...{ secretName, fromVersion: from, belowVersion: below, credentialSha256: hash },
        ...(retired !== undefined && { retired }),
      };
      const wait = { timeoutMs: SNAPSHOT_TIMEOUT_MS };
      return asOurs(clientOf(tenantId).findCredentialHolders(request, wait));
    },
  };
}

const OUR_OWN_FAULTS = new Set(["UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"]);

/**
 * The caller did nothing wrong when the catalog does not let this service in: its answer must not
 * send a developer off to mend a token that is good.
 */
async function asOurs<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!isAppError(error) || !OUR_OWN_FAULTS.has(error.code)) throw error;
    throw new Error(`the catalog refused rotation: ${error.code}`, { cause: error });
  }
}

function connect(channel: Channel, key: SigningKey, tenantId: string): TenantClients {
  const credentials = serviceCredentials({
    key,
    service: "rotation",
    audience: "catalog",
    tenantId,
  });
  const bound = withCredentials(channel, credentials);
  return {
    environments: createClient(EnvironmentServiceService, bound),
    workspaces: createClient(WorkspaceServiceService, bound),
    vms: createClient(VmServiceService, bound),
    credentialSecrets: createClient(CredentialSecretServiceService, bound),
    tenantData: createClient(TenantDataServiceService, bound),
  };
}

async function snapshotBatch(
  { environments }: TenantClients,
  agents: readonly GenuineAgent[],
  wish: { requestId: string; rollbackTo: ReadonlyMap<string, bigint> | undefined },
): Promise<Snapshot[]> {
  const asked = environments.snapshotEnvironments(
    {
      agents: agents.map((agent) => ({
        ...toSnapshotWish(agent),
        rollbackToGeneration: wish.rollbackTo?.get(agent.id),
      })),
      requestId: wish.requestId,
    },
    { timeoutMs: SNAPSHOT_TIMEOUT_MS },
  );
  return (await asOurs(asked)).snapshots;
}

function toSnapshotWish(agent: GenuineAgent): AgentToSnapshot {
  const { id, workspace, vmId, path, developer, expectsSpawnSecrets } = agent;
  return { agentId: id, workspace, vmId, path, developer, expectsSpawnSecrets };
}

async function listVms({ vms }: TenantClients, name: string | undefined): Promise<RegisteredVm[]> {
  const found: Vm[] = [];
  for (let pageToken = ""; ;) {
    const request = { pageSize: MAX_BATCH, pageToken, name };
    const page = await asOurs(vms.listVms(request, { timeoutMs: READ_TIMEOUT_MS }));
    found.push(...page.vms);
    pageToken = page.nextPageToken;
    if (pageToken === "") return found.map((vm) => ({ vmId: vm.vmId, name: vm.name }));
  }
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const result: T[][] = [];
  for (let at = 0; at < items.length; at += size) result.push(items.slice(at, at + size));
  return result;
}
