import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { AuditServiceService } from "../../gen/murmur/audit/v1/audit";
import { CredentialSecretServiceService } from "../../gen/murmur/catalog/v1/credential_secrets";
import { DeliveryServiceService } from "../../gen/murmur/catalog/v1/delivery";
import { EncryptionServiceService } from "../../gen/murmur/catalog/v1/encryption";
import { EnvironmentServiceService } from "../../gen/murmur/catalog/v1/environments";
import { SecretServiceService } from "../../gen/murmur/catalog/v1/secrets";
import { TenantDataServiceService } from "../../gen/murmur/catalog/v1/tenant_data";
import { UserServiceService } from "../../gen/murmur/catalog/v1/users";
import { VmServiceService } from "../../gen/murmur/catalog/v1/vms";
import { WorkspaceServiceService } from "../../gen/murmur/catalog/v1/workspaces";
import type { Clock } from "../../lib/clock";
import {
  createClient,
  openChannel,
  withCredentials,
  type Channel,
  type ClientOf,
  type Credentials,
} from "../../lib/grpc/client";
import { issueDeveloperToken } from "../../lib/identity/claims";
import {
  bearerCredentials,
  serviceCredentials,
  vmCredentials,
} from "../../lib/identity/credentials";
import { keySetOf, type KeySet } from "../../lib/identity/key-set";
import type { Role } from "../../lib/identity/principal";
import {
  generateSigningKey,
  rawPublicKey,
  toPublicKey,
  type SigningKey,
} from "../../lib/identity/signing-key";
import { joinMessage } from "../../lib/identity/signed-messages";
import type { Log } from "../../lib/log";
import { createPool } from "../../lib/postgres/pool";
import { sensitive, type Sensitive } from "../../lib/sensitive";
import { createCatalog, type Catalog } from "../../services/catalog/catalog";
import type { KeyProvider } from "../../services/catalog/keys/key-provider";
import { createTestKeyProvider } from "./key-provider";
import { createTestDatabase, type TestDatabase } from "./postgres";

export interface CatalogClients {
  secrets: ClientOf<typeof SecretServiceService>;
  users: ClientOf<typeof UserServiceService>;
  workspaces: ClientOf<typeof WorkspaceServiceService>;
  encryption: ClientOf<typeof EncryptionServiceService>;
  environments: ClientOf<typeof EnvironmentServiceService>;
  vms: ClientOf<typeof VmServiceService>;
  tenantData: ClientOf<typeof TenantDataServiceService>;
  credentialSecrets: ClientOf<typeof CredentialSecretServiceService>;
  delivery: ClientOf<typeof DeliveryServiceService>;
  audit: ClientOf<typeof AuditServiceService>;
}

/** A machine that has joined. */
export interface TestVm {
  tenantId: string;
  id: string;
  name: string;
  identity: { privateKey: KeyObject; publicKey: KeyObject };
  credentials: Credentials;
}

export interface TestCatalog {
  /** host:port */
  address: string;
  database: TestDatabase;
  /** Signs developers' and services' tokens. */
  rotationKey: SigningKey;
  /** Signs VM tokens and delivery sessions. */
  catalogKey: SigningKey;
  /** Vouches for clients of a gateway. */
  gatewayKey: SigningKey;
  keySet: KeySet;
  keyProvider: KeyProvider;
  catalog: Catalog;
  /** The run of the service; rejects when it fails for good. */
  running: Promise<void>;
  developer(who: { tenantId: string; role?: Role; id?: string }): Credentials;
  /** The rotation service, acting within a tenant. */
  rotation(tenantId: string): Credentials;
  clients(credentials?: Credentials): CatalogClients;
  /** Registers a machine with a join token. Its VM token lives 5 minutes. */
  joinVm(tenantId: string, name: string): Promise<TestVm>;
  stop(): Promise<void>;
}

export interface TestCatalogOptions {
  /** Another catalog's database and keys: a second replica, or the same one after a restart. */
  beside?: Pick<TestCatalog, "database" | "rotationKey" | "catalogKey" | "keyProvider"> &
    Partial<Pick<TestCatalog, "gatewayKey">>;
  /** An own database, which the test drops. */
  database?: TestDatabase;
  keyProvider?: KeyProvider;
  /** Another way to the database, such as a proxy. */
  databaseUrl?: Sensitive<string>;
  /** Longest a statement may take. */
  timeoutMs?: number;
  dataKeyCacheMs?: number;
  /** To rotation, which knows API keys. */
  rotation?: Channel;
  clock?: Clock;
  log?: Log;
}

/**
 * Starts the catalog in this process on a free port, with a database and keys of its own unless
 * `beside` shares another's. `stop` it in `afterAll`; the one that made the database drops it.
 */
export async function startCatalog(options: TestCatalogOptions = {}): Promise<TestCatalog> {
  const { beside } = options;
  const database = options.database ?? beside?.database ?? (await createTestDatabase("catalog"));
  const rotationKey = beside?.rotationKey ?? generateSigningKey("murmur-rotation");
  const catalogKey = beside?.catalogKey ?? generateSigningKey("murmur-catalog");
  const gatewayKey = beside?.gatewayKey ?? generateSigningKey("murmur-gateway");
  const keySet = keySetOf([rotationKey, catalogKey, gatewayKey].map(toPublicKey));
  const keyProvider = options.keyProvider ?? beside?.keyProvider ?? createTestKeyProvider();
  const pool = createPool({
    url: options.databaseUrl ?? database.url,
    applicationName: "catalog-under-test",
    max: 20,
    // Twenty at once are slow to be let in on a machine with much else to do.
    ...(options.databaseUrl === undefined && { connectTimeoutMs: 20_000 }),
    ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
  });
  const catalog = createCatalog({
    pool,
    keyProvider,
    keySet,
    signingKey: catalogKey,
    dataKeyCacheMs: options.dataKeyCacheMs ?? 60_000,
    ...(options.rotation && { rotation: options.rotation }),
    ...(options.clock && { clock: options.clock }),
    ...(options.log && { log: options.log }),
  });
  const stopping = new AbortController();
  const running = catalog.run(stopping.signal);
  running.catch(() => undefined); // `stop` throws it, or the test that looks at it.
  const port = await catalog.server.listen("127.0.0.1:0");
  const address = `127.0.0.1:${port}`;
  const channel = openChannel({ address });
  const test: TestCatalog = {
    address,
    database,
    rotationKey,
    catalogKey,
    gatewayKey,
    keySet,
    keyProvider,
    catalog,
    running,
    developer: (who) => developerCredentials(rotationKey, who),
    rotation: (tenantId) =>
      serviceCredentials({ key: rotationKey, service: "rotation", audience: "catalog", tenantId }),
    clients: (credentials) => {
      const authenticated = credentials ? withCredentials(channel, credentials) : channel;
      return {
        secrets: createClient(SecretServiceService, authenticated),
        users: createClient(UserServiceService, authenticated),
        workspaces: createClient(WorkspaceServiceService, authenticated),
        encryption: createClient(EncryptionServiceService, authenticated),
        environments: createClient(EnvironmentServiceService, authenticated),
        vms: createClient(VmServiceService, authenticated),
        tenantData: createClient(TenantDataServiceService, authenticated),
        credentialSecrets: createClient(CredentialSecretServiceService, authenticated),
        delivery: createClient(DeliveryServiceService, authenticated),
        audit: createClient(AuditServiceService, authenticated),
      };
    },
    joinVm: (tenantId, name) => joinVm(test, tenantId, name),
    async stop() {
      stopping.abort();
      channel.close();
      await catalog.server.stop(1_000);
      await pool.close();
      await running;
      if (!beside && !options.database) await database.drop();
    },
  };
  return test;
}

function developerCredentials(
  key: SigningKey,
  { tenantId, role = "owner", id = "github/alice" }: { tenantId: string; role?: Role; id?: string },
): Credentials {
  const token = issueDeveloperToken(key, { tenantId, developer: id, role, ttlSeconds: 3600 });
  return async (method) => bearerCredentials(sensitive(await token))(method);
}

async function joinVm(test: TestCatalog, tenantId: string, name: string): Promise<TestVm> {
  const identity = generateKeyPairSync("ed25519");
  const admin = test.clients(test.developer({ tenantId }));
  const { joinToken } = await admin.vms.issueJoinToken({ name });
  const joined = await test.clients().vms.joinVm({
    joinToken,
    identityPublicKey: rawPublicKey(identity.publicKey),
    signature: sign(null, joinMessage(sensitive(joinToken)), identity.privateKey),
  });
  const token = sensitive(joined.vmToken);
  const credentials = vmCredentials(identity, () => Promise.resolve(token));
  return { tenantId, id: joined.vmId, name, identity, credentials };
}
