import { generateKeyPairSync, type KeyObject, randomBytes, randomUUID, sign } from "node:crypto";
import { DESCRIPTOR_SET } from "../../../gen/descriptor-set";
import { DeliveryServiceService } from "../../../gen/murmur/catalog/v1/delivery";
import { VmServiceService } from "../../../gen/murmur/catalog/v1/vms";
import { type Clock, systemClock } from "../../../lib/clock";
import {
  type Channel,
  createClient,
  type Credentials,
  openChannel,
} from "../../../lib/grpc/client";
import { createGrpcServer } from "../../../lib/grpc/server";
import { createAuthenticator } from "../../../lib/identity/authenticate";
import { issueDeveloperToken } from "../../../lib/identity/claims";
import {
  bearerCredentials,
  serviceCredentials,
  vmCredentials,
} from "../../../lib/identity/credentials";
import { keySetOf } from "../../../lib/identity/key-set";
import type { Role } from "../../../lib/identity/principal";
import { joinMessage, renewMessage } from "../../../lib/identity/signed-messages";
import { generateSigningKey, rawPublicKey, toPublicKey } from "../../../lib/identity/signing-key";
import { type Log, silentLog } from "../../../lib/log";
import type { Pool } from "../../../lib/postgres/db";
import { sensitive } from "../../../lib/sensitive";
import type { EnvironmentOpener } from "../environments/environment-opener";
import { createDeliverySessions } from "../domain/delivery-session";
import { createDataKey, type DataKey } from "../domain/data-key";
import { toSecretKey } from "../domain/envelope";
import type { TenantKeys } from "../keys/tenant-keys";
import { CATALOG_ACCESS } from "../rpc/access";
import { createDeliveryService } from "../rpc/delivery-service";
import { createVmService } from "../rpc/vm-service";
import { createPostgresVmStore } from "./postgres-vm-store";
import { createVmMacs } from "./vm-macs";

export interface IdentityPair {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

export interface TestRegisterOptions {
  pool: Pool;
  environments?: EnvironmentOpener;
  clock?: Clock;
  log?: Log;
  /** Shared by replicas of one catalog. */
  keys?: RegisterKeys;
}

/** What the replicas of one installation have in common. */
export function createRegisterKeys() {
  const catalog = generateSigningKey("murmur-catalog");
  const rotation = generateSigningKey("murmur-rotation");
  return { catalog, rotation, keySet: keySetOf([toPublicKey(catalog), toPublicKey(rotation)]) };
}
export type RegisterKeys = ReturnType<typeof createRegisterKeys> & { tenantKeys?: TenantKeys };

/** Data keys in memory, the same for everyone who holds this object. */
export function createMemoryTenantKeys(): TenantKeys {
  const byTenant = new Map<string, DataKey>();
  const current = (tenantId: string) => {
    const key = byTenant.get(tenantId) ?? createDataKey(randomUUID(), toSecretKey(randomBytes(32)));
    byTenant.set(tenantId, key);
    return Promise.resolve(key);
  };
  return {
    current,
    find: async (tenantId, keyId) => {
      const key = await current(tenantId);
      return key.id === keyId ? key : undefined;
    },
    forget: () => undefined,
  };
}

/** One catalog replica that serves VMs, on a port of its own, with clients for every kind of caller. */
export async function startTestRegister(options: TestRegisterOptions) {
  const { pool, clock = systemClock, log = silentLog } = options;
  const keys: RegisterKeys = options.keys ?? createRegisterKeys();
  const { catalog: signingKey, rotation, keySet } = keys;
  const sessions = createDeliverySessions(clock);
  const { findProofKey } = sessions;
  const server = createGrpcServer({
    authenticate: createAuthenticator({ keySet, service: "catalog", findProofKey, clock }),
    access: CATALOG_ACCESS,
    descriptorSet: DESCRIPTOR_SET,
    log,
    maxTimeoutMs: 10_000,
  });
  const macs = createVmMacs(keys.tenantKeys ?? createMemoryTenantKeys());
  const store = createPostgresVmStore({ pool, macs });
  const deliveries = { note: () => undefined };
  const environments = options.environments ?? { find: () => Promise.resolve([]) };
  server.add(VmServiceService, createVmService({ store, signingKey, keySet, clock }));
  server.add(
    DeliveryServiceService,
    createDeliveryService({ store, environments, signingKey, sessions, deliveries }),
  );
  const address = `127.0.0.1:${await server.listen("127.0.0.1:0")}`;
  const channels: Channel[] = [];
  const connect = (credentials?: Credentials) => {
    const channel = openChannel({ address, ...(credentials && { credentials }) });
    channels.push(channel);
    return {
      vms: createClient(VmServiceService, channel),
      delivery: createClient(DeliveryServiceService, channel),
    };
  };
  return {
    address,
    keys,
    connect,
    async developer(tenantId = "acme", role: Role = "admin") {
      const init = { tenantId, developer: "github/alice", role, ttlSeconds: 3600, clock };
      return connect(bearerCredentials(sensitive(await issueDeveloperToken(rotation, init))));
    },
    service: (service: string, tenantId = "acme") =>
      connect(serviceCredentials({ key: rotation, service, audience: "catalog", tenantId, clock })),
    vm: (identity: IdentityPair, token: string) =>
      connect(vmCredentials(identity, () => Promise.resolve(sensitive(token)), clock)),
    async stop() {
      for (const channel of channels) channel.close();
      await server.stop(500);
    },
  };
}
export type TestRegister = Awaited<ReturnType<typeof startTestRegister>>;

export function generateIdentity(): IdentityPair {
  return generateKeyPairSync("ed25519");
}

/** A signed JoinVm request. */
export function joinRequest(joinToken: string, identity: IdentityPair) {
  return {
    joinToken,
    identityPublicKey: rawPublicKey(identity.publicKey),
    signature: sign(null, joinMessage(sensitive(joinToken)), identity.privateKey),
  };
}

/** A signed RenewVmToken request. */
export function renewRequest(vmId: string, identity: IdentityPair, signedAt = new Date()) {
  const nonce = randomBytes(16);
  const seconds = BigInt(Math.floor(signedAt.getTime() / 1000));
  const signature = sign(null, renewMessage(vmId, seconds, nonce), identity.privateKey);
  return { vmId, signedAt, nonce, signature };
}

/** A VM that has joined by a fresh token. */
export async function joinAs(register: TestRegister, name: string, tenantId = "acme") {
  const identity = generateIdentity();
  const developer = await register.developer(tenantId);
  const { joinToken } = await developer.vms.issueJoinToken({ name });
  const joined = await register.connect().vms.joinVm(joinRequest(joinToken, identity));
  return { identity, joinToken, joined, ...register.vm(identity, joined.vmToken) };
}
