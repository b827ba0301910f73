import { createHash, generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { DESCRIPTOR_SET } from "../../gen/descriptor-set";
import {
  EnvironmentServiceService,
  type EnvironmentPreview,
  type EnvironmentSnapshot,
  type FindPinsRequest,
  type FindPinsResponse,
  type GenerationRelease,
  type SetAgentSecretsRequest,
  type SnapshotEnvironmentsRequest,
} from "../../gen/murmur/catalog/v1/environments";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { VmServiceService } from "../../gen/murmur/catalog/v1/vms";
import { WorkspaceServiceService } from "../../gen/murmur/catalog/v1/workspaces";
import { AppError, notFound } from "../../lib/errors";
import type { Credentials } from "../../lib/grpc/client";
import { createGrpcServer } from "../../lib/grpc/server";
import { createAuthenticator } from "../../lib/identity/authenticate";
import { issueDeveloperToken, issueVmToken } from "../../lib/identity/claims";
import { bearerCredentials, vmCredentials } from "../../lib/identity/credentials";
import { keySetOf, type KeySet } from "../../lib/identity/key-set";
import type { Role } from "../../lib/identity/principal";
import {
  generateSigningKey,
  thumbprint,
  toPublicKey,
  type SigningKey,
} from "../../lib/identity/signing-key";
import { silentLog } from "../../lib/log";
import { sensitive } from "../../lib/sensitive";
import { CATALOG_ACCESS } from "../../services/catalog/rpc/access";

/** A machine of the register. */
export interface FakeVm {
  tenantId: string;
  id: string;
  name: string;
  credentials: Credentials;
}

/** A catalog that answers rotation over real gRPC, remembers what it was asked, and fails on order. */
export interface FakeCatalog {
  address: string;
  rotationKey: SigningKey;
  catalogKey: SigningKey;
  keySet: KeySet;
  /** Workspaces by `tenant/name`, with the names of their VMs. */
  readonly workspaces: Map<string, string[]>;
  /** Every snapshot request, in order. */
  readonly snapshots: SnapshotEnvironmentsRequest[];
  /** Every release, in order. */
  readonly releases: GenerationRelease[];
  /** Names that snapshots report as missing. */
  missingNames: string[];
  /** Names that rollbacks report as deleted since. */
  notRolledBackNames: string[];
  /** What generations pin; nothing unless a test says so. */
  findPins: (request: FindPinsRequest, tenantId: string) => FindPinsResponse;
  /** What agents were given as secrets of their own. */
  agentSecrets: SetAgentSecretsRequest[];
  /** Awaited before that; throws what the call is answered with. */
  beforeAgentSecrets: (request: SetAgentSecretsRequest) => Promise<void>;
  /** What is different in the previews of every agent. */
  preview: Partial<EnvironmentPreview>;
  /** Called before a snapshot is answered: to fail it, or to do something meanwhile. */
  beforeSnapshot: (request: SnapshotEnvironmentsRequest) => Promise<void> | void;
  /** Called when a snapshot was taken, before it is answered. */
  afterSnapshot: (request: SnapshotEnvironmentsRequest) => Promise<void> | void;
  developer(who: { tenantId: string; role?: Role; id?: string }): Credentials;
  addVm(tenantId: string, name: string, id?: string): FakeVm;
  removeVm(vm: FakeVm): void;
  stop(): Promise<void>;
}

interface State {
  vms: FakeVm[];
  removed: { sequence: bigint; tenantId: string; vmId: string }[];
  generations: Map<string, bigint>;
  answers: Map<string, EnvironmentSnapshot[]>;
}

/** Starts it on a free port. */
export async function startFakeCatalog(): Promise<FakeCatalog> {
  const rotationKey = generateSigningKey("murmur-rotation");
  const catalogKey = generateSigningKey("murmur-catalog");
  const keySet = keySetOf([rotationKey, catalogKey].map(toPublicKey));
  const state: State = { vms: [], removed: [], generations: new Map(), answers: new Map() };
  const server = createGrpcServer({
    authenticate: createAuthenticator({ keySet, service: "catalog" }),
    access: CATALOG_ACCESS,
    descriptorSet: DESCRIPTOR_SET,
    log: silentLog,
    maxTimeoutMs: 10_000,
  });
  const fake: FakeCatalog = {
    address: "",
    rotationKey,
    catalogKey,
    keySet,
    workspaces: new Map(),
    snapshots: [],
    releases: [],
    missingNames: [],
    notRolledBackNames: [],
    findPins: () => ({ pins: [], unknown: [], hadAgentIds: [] }),
    agentSecrets: [],
    beforeAgentSecrets: () => Promise.resolve(),
    preview: {},
    beforeSnapshot: () => undefined,
    afterSnapshot: () => undefined,
    developer: (who) => developerCredentials(rotationKey, who),
    addVm: (tenantId, name, id = randomUUID()) => {
      const vm = {
        tenantId,
        id,
        name,
        credentials: machineCredentials(catalogKey, tenantId, id, name),
      };
      state.vms.push(vm);
      return vm;
    },
    removeVm: (vm) => {
      state.vms = state.vms.filter((known) => known !== vm);
      const sequence = BigInt(state.removed.length + 1);
      state.removed.push({ sequence, tenantId: vm.tenantId, vmId: vm.id });
    },
    stop: () => server.stop(200),
  };
  addServices(server, fake, state);
  fake.address = `127.0.0.1:${await server.listen("127.0.0.1:0")}`;
  return fake;
}

function addServices(
  server: ReturnType<typeof createGrpcServer>,
  fake: FakeCatalog,
  state: State,
): void {
  const unused = () => Promise.reject(new Error("the fake catalog does not do this"));
  server.add(EnvironmentServiceService, {
    storeSpawnSecrets: unused,
    async setAgentSecrets(request) {
      await fake.beforeAgentSecrets(request);
      fake.agentSecrets.push(request);
      return {};
    },
    async snapshotEnvironments(request, { principal }) {
      fake.snapshots.push(request);
      await fake.beforeSnapshot(request);
      refuseRemoved(state, request);
      const snapshots = snapshot(fake, state, principal?.tenantId ?? "", request);
      await fake.afterSnapshot(request);
      return { snapshots };
    },
    releaseGenerations({ releases }) {
      fake.releases.push(...releases);
      return Promise.resolve({});
    },
    findPins: (request, { principal }) =>
      Promise.resolve(fake.findPins(request, principal?.tenantId ?? "")),
    previewEnvironments: ({ agents }) =>
      Promise.resolve({
        previews: agents.map(({ agent }) => ({
          ...{ agentId: agent?.agentId ?? "", addedNames: [], changedNames: [], removedNames: [] },
          ...{ missingNames: [], refusal: "", ...fake.preview },
        })),
      }),
  });
  server.add(WorkspaceServiceService, {
    setWorkspace: unused,
    listWorkspaces: unused,
    deleteWorkspace: unused,
    getWorkspace({ name }, { principal }) {
      const vms = fake.workspaces.get(`${principal?.tenantId ?? ""}/${name}`);
      if (!vms) {
        const reason = ErrorReason.ERROR_REASON_WORKSPACE_NOT_FOUND;
        return Promise.reject(notFound(reason, `no workspace "${name}"`));
      }
      const workspace = {
        ...{ name, vms, description: undefined, secretRefs: undefined, revision: 1n },
        ...{ createdAt: undefined, updatedAt: undefined, updatedBy: "" },
      };
      return Promise.resolve({ workspace });
    },
  });
  server.add(VmServiceService, {
    issueJoinToken: unused,
    joinVm: unused,
    renewVmToken: unused,
    removeVm: unused,
    listVms({ name }, { principal }) {
      const vms = state.vms
        .filter((vm) => vm.tenantId === principal?.tenantId && (!name || vm.name === name))
        .map((vm) => ({ vmId: vm.id, name: vm.name, joinedAt: undefined, lastSeenAt: undefined }));
      return Promise.resolve({ vms, nextPageToken: "" });
    },
    listRemovedVms: ({ afterSequence }) =>
      Promise.resolve({ removed: state.removed.filter((it) => it.sequence > afterSequence) }),
  });
}

function refuseRemoved(state: State, request: SnapshotEnvironmentsRequest): void {
  const gone = state.removed.some(({ vmId }) => request.agents.some((it) => it.vmId === vmId));
  if (!gone) return;
  throw new AppError({
    code: "FAILED_PRECONDITION",
    reason: ErrorReason.ERROR_REASON_VM_REMOVED,
    message: "the VM was removed",
  });
}

function snapshot(
  fake: FakeCatalog,
  state: State,
  tenantId: string,
  request: SnapshotEnvironmentsRequest,
): EnvironmentSnapshot[] {
  const requestKey = `${tenantId}/${request.requestId}`;
  const known = state.answers.get(requestKey);
  if (known) return known;
  const made = request.agents.map(({ agentId, rollbackToGeneration }) => {
    const key = `${tenantId}/${agentId}`;
    const generation = (state.generations.get(key) ?? 0n) + 1n;
    state.generations.set(key, generation);
    return {
      agentId,
      generation,
      fingerprint: createHash("sha256").update(randomBytes(16)).digest(),
      unchanged: false,
      changedNames: [],
      missingNames: fake.missingNames,
      notRolledBackNames: rollbackToGeneration === undefined ? [] : fake.notRolledBackNames,
      sealedAhead: Buffer.from(`sealed ${agentId} ${generation}`),
    };
  });
  state.answers.set(requestKey, made);
  return made;
}

function developerCredentials(
  key: SigningKey,
  { tenantId, role = "owner", id = "github/alice" }: { tenantId: string; role?: Role; id?: string },
): Credentials {
  const token = issueDeveloperToken(key, { tenantId, developer: id, role, ttlSeconds: 3600 });
  return async (method) => bearerCredentials(sensitive(await token))(method);
}

function machineCredentials(
  key: SigningKey,
  tenantId: string,
  vmId: string,
  name: string,
): Credentials {
  const identity = generateKeyPairSync("ed25519");
  const keyThumbprint = thumbprint(identity.publicKey);
  const init = { tenantId, vmId, name, keyThumbprint, ttlSeconds: 3600 };
  const token = issueVmToken(key, init).then((text) => sensitive(text));
  return vmCredentials(identity, () => token);
}
