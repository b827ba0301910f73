import { generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type AppError, isAppError } from "../../lib/errors";
import type { Credentials } from "../../lib/grpc/client";
import { issueDeveloperToken } from "../../lib/identity/claims";
import {
  bearerCredentials,
  serviceCredentials,
  vmCredentials,
} from "../../lib/identity/credentials";
import { joinMessage } from "../../lib/identity/signed-messages";
import { parseSigningKey, rawPublicKey, type SigningKey } from "../../lib/identity/signing-key";
import { sensitive } from "../../lib/sensitive";
import { openRawCaller, type RawCaller } from "../harness/raw-call";
import { type StackClients, startTestStack, type TestStack } from "../harness/stack";
import { type ContractRpc, contractRpcs } from "./contract-rpcs";

/** Of another tenant than the stack's own, so that nothing fuzzed touches what others look at. */
export const TENANT = "fuzz";
/** Those that take away what the others speak of come last. */
const ENDING = ["KillAgent", "DeleteSecret", "DeleteWorkspace"];
export const RPCS = contractRpcs().sort(
  (a, b) => ENDING.indexOf(nameOf(a)) - ENDING.indexOf(nameOf(b)),
);
/** For whoever comes. */
export const OPEN = [
  "JoinVm",
  "RenewVmToken",
  "RegisterAgent",
  "RotateSelf",
  "GetSignIn",
  "ExchangeToken",
  "GetTenantDeletion",
];
/** Who may call what developers may not. */
const CALLERS = {
  vm: [
    "OpenDeliverySession",
    "FetchEnvironments",
    "WatchVm",
    "SyncVm",
    "ListDueRotations",
    "RotateForAgent",
  ],
  service: [
    "SetAgentSecrets",
    "SnapshotEnvironments",
    "ReleaseGenerations",
    "FindPins",
    "PreviewEnvironments",
    "ListRemovedVms",
    "StageCredential",
    "StoreStagedCredential",
    "DiscardStagedCredential",
    "FindCredentialHolders",
  ],
  // Of a tenant that nobody else looks at: it ends.
  ender: ["EndTenant", "PurgeTenant"],
  verifier: [
    ...["VerifyCredential", "VerifyCredentials", "VerifyIdentityTokens"],
    "AwaitCredentialChanges",
  ],
};

/** A stack with a tenant that is treated badly. */
export interface FuzzedStack {
  stack: TestStack;
  rotationKey: SigningKey;
  principals: Record<"developer" | "vm" | "service" | "ender" | "verifier", Credentials>;
  /** The owner of the fuzzed tenant. */
  fuzzed: StackClients;
  developerToken: (key?: SigningKey, atMs?: number) => Promise<string>;
  /** An agent that stays as it is, as its machine never says a word. */
  spawn: (slug: string) => Promise<unknown>;
  /** Of the principal that the contract names for an RPC. */
  credentialsFor: (rpc: ContractRpc) => Promise<Record<string, string>>;
  /** Bytes, whatever they are; with the right credentials unless told. */
  send: (
    rpc: ContractRpc,
    request: Buffer,
    metadata?: Record<string, string>,
  ) => Promise<AppError | undefined>;
}

/**
 * Starts it for the tests of the file that calls this. After each test the services are the same
 * processes as before, and none has found a bug in itself.
 */
export function useFuzzedStack(): FuzzedStack {
  let callers: Record<ContractRpc["service"], RawCaller>;
  let before: number[];
  const rig = {
    developerToken: (key = rig.rotationKey, atMs = Date.now()) => developerToken(key, atMs),
    spawn: (slug) => spawn(rig.fuzzed, slug),
    credentialsFor: (rpc) => credentialsFor(rig.principals, rpc),
    send: async (rpc, request, metadata) => {
      const own = metadata ?? (await rig.credentialsFor(rpc));
      return callers[rpc.service].call({ ...rpc, request, metadata: own });
    },
  } as FuzzedStack;
  const pids = () => ["catalog", "rotation", "vm-agent-1"].map((part) => rig.stack.pidOf(part));
  beforeAll(async () => {
    const stack = await startTestStack();
    rig.stack = stack;
    callers = {
      catalog: openRawCaller(stack.place.catalog),
      rotation: openRawCaller(stack.place.rotation),
    };
    rig.rotationKey = signingKeyOf(stack.identities.rotationKeyFile);
    const token = await rig.developerToken();
    rig.fuzzed = stack.clientsOf(token);
    rig.principals = {
      developer: bearerCredentials(sensitive(token)),
      vm: await joinVm(rig, "fuzz-vm"),
      service: serviceCredentials({
        ...{ key: rig.rotationKey, service: "rotation", audience: "catalog", tenantId: TENANT },
      }),
      ender: serviceCredentials({
        ...{ key: rig.rotationKey, service: "rotation", audience: "catalog", tenantId: "ended" },
      }),
      verifier: serviceCredentials({
        ...{ key: rig.rotationKey, service: "verifier", audience: "rotation", tenantId: TENANT },
      }),
    };
    before = pids();
  }, 180_000);
  // What a message may happen to name is there, whatever became of it before.
  beforeEach(() => restoreNames(rig.fuzzed));
  afterEach(() => {
    expect(pids()).toEqual(before);
    for (const part of ["catalog", "rotation"]) {
      const log = readFileSync(join(rig.stack.place.logDir, `${part}.log`));
      // Hundreds of times, and megabytes at the end: taken apart only when there is something in it.
      if (!log.includes("with a bug")) continue;
      const lines = log.toString("utf8").split("\n");
      expect(lines.filter((line) => line.includes("with a bug"))).toEqual([]);
    }
  });
  afterAll(async () => {
    callers.catalog.close();
    callers.rotation.close();
    await rig.stack.stop();
  }, 180_000);
  return rig;
}

/** `SetSecret` of `/murmur.catalog.v1.SecretService/SetSecret`. */
export function nameOf({ path }: ContractRpc): string {
  return path.split("/").at(-1)!;
}

/** The key in a file of the stack. */
export function signingKeyOf(file: string): SigningKey {
  return parseSigningKey(sensitive(readFileSync(file, "utf8")));
}

/** Of the outcome of a call. */
export function codeOf(error: AppError | undefined): string {
  return error?.code ?? "OK";
}

function developerToken(key: SigningKey, atMs: number): Promise<string> {
  return issueDeveloperToken(key, {
    tenantId: TENANT,
    developer: "owner/name",
    role: "owner",
    ttlSeconds: 3600,
    clock: {
      now: () => new Date(atMs),
      monotonicMs: () => atMs,
      sleep: () => Promise.resolve(),
    },
  });
}

/** A machine of which nothing is there but its key. */
async function joinVm({ stack, fuzzed }: FuzzedStack, name: string): Promise<Credentials> {
  const identity = generateKeyPairSync("ed25519");
  const { joinToken } = await fuzzed.vms.issueJoinToken({ name });
  const { vmToken } = await stack.clientsOf(undefined).vms.joinVm({
    joinToken,
    identityPublicKey: rawPublicKey(identity.publicKey),
    signature: sign(null, joinMessage(sensitive(joinToken)), identity.privateKey),
  });
  return vmCredentials(identity, () => Promise.resolve(sensitive(vmToken)));
}

async function restoreNames(fuzzed: StackClients): Promise<void> {
  await fuzzed.workspaces.setWorkspace({
    name: "demo",
    description: undefined,
    secretRefs: undefined,
    vms: [],
    expectedRevision: undefined,
  });
  await spawn(fuzzed, "fuzzed").catch((error: unknown) => {
    if (!isAppError(error, "ALREADY_EXISTS")) throw error;
  });
}

function spawn({ agents }: StackClients, slug: string): Promise<unknown> {
  const where = { workspace: "demo", slug, vm: "fuzz-vm", parentAgentId: "" };
  const what = { command: ["true"], workingDirectory: "/", expectsSpawnSecrets: false };
  return agents.spawnAgent({ agentId: randomUUID(), ...where, ...what });
}

function credentialsFor(
  principals: FuzzedStack["principals"],
  rpc: ContractRpc,
): Promise<Record<string, string>> {
  const name = nameOf(rpc);
  if (OPEN.includes(name)) return Promise.resolve({});
  const [kind = "developer" as const] = Object.entries(CALLERS).flatMap(([caller, names]) =>
    names.includes(name) ? [caller as keyof typeof CALLERS] : [],
  );
  return principals[kind](rpc.path);
}
