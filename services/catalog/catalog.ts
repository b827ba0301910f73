import { DESCRIPTOR_SET } from "../../gen/descriptor-set";
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
import { createAudit } from "../../lib/audit/audit";
import { type Clock, systemClock } from "../../lib/clock";
import type { Channel } from "../../lib/grpc/client";
import { createGrpcServer, type GrpcServer } from "../../lib/grpc/server";
import type { ServerTls } from "../../lib/grpc/tls";
import { createAuthenticator, type VerifyKey } from "../../lib/identity/authenticate";
import { createEndedTenants, refuseEnded } from "../../lib/identity/ended-tenants";
import type { KeySet } from "../../lib/identity/key-set";
import type { SigningKey } from "../../lib/identity/signing-key";
import { createVouchReader } from "../../lib/identity/vouch";
import { type Log, silentLog } from "../../lib/log";
import type { Pool } from "../../lib/postgres/db";
import { ALL_TENANTS } from "../../verifier/rotation-channel";
import { toCaller } from "../../verifier/to-principal";
import { createVerifier } from "../../verifier/verifier";
import { createCredentialSecrets } from "./credential-secrets/credential-secrets";
import { createPostgresCredentialSecretStore } from "./credential-secrets/postgres-credential-secret-store";
import { createDeliverySessions } from "./domain/delivery-session";
import { createKeyRotations } from "./encryption/key-rotations";
import { cleanUp } from "./environments/clean-up";
import { createDeliveryRecords } from "./environments/delivery-records";
import { createEnvironments } from "./environments/environments";
import { withKeyCheck } from "./keys/key-check";
import type { KeyProvider } from "./keys/key-provider";
import { createTenantKeys } from "./keys/tenant-keys";
import { CATALOG_ACCESS } from "./rpc/access";
import { createCredentialSecretService } from "./rpc/credential-secret-service";
import { createDeliverAhead } from "./rpc/deliver-ahead";
import { createDeliveryService } from "./rpc/delivery-service";
import { createEncryptionService } from "./rpc/encryption-service";
import { createEnvironmentService } from "./rpc/environment-service";
import { createSecretService } from "./rpc/secret-service";
import { createTenantDataService } from "./rpc/tenant-data-service";
import { createUserService } from "./rpc/user-service";
import { createVmService } from "./rpc/vm-service";
import { createWorkspaceService } from "./rpc/workspace-service";
import { createSecretEndings } from "./secrets/endings";
import { createImportSecrets } from "./secrets/imports";
import { createSecrets } from "./secrets/secrets";
import { createPostgresEndingStore } from "./store/postgres-ending-store";
import { createPostgresExpiryStore } from "./store/postgres-expiry-store";
import { createPostgresImportStore } from "./store/postgres-import-store";
import { createPostgresKeyRotationStore } from "./store/postgres-key-rotation-store";
import { createPostgresKeyStore } from "./store/postgres-key-store";
import { createPostgresPinStore } from "./store/postgres-pin-store";
import { createPostgresReleaseStore } from "./store/postgres-release-store";
import { createPostgresSecretStore } from "./store/postgres-secret-store";
import { createPostgresUserStore } from "./store/postgres-user-store";
import { createPostgresWorkspaceStore } from "./store/postgres-workspace-store";
import { createTenantData } from "./tenants/tenant-data";
import { createUsers } from "./users/users";
import { createPostgresVmStore } from "./vms/postgres-vm-store";
import { createVmMacs } from "./vms/vm-macs";
import { watchReadiness } from "./watch-readiness";
import { createWorkspaces } from "./workspaces/workspaces";

export interface CatalogDeps {
  pool: Pool;
  keyProvider: KeyProvider;
  /** Public keys of rotation (developers, services) and of this service (VMs). */
  keySet: KeySet;
  /** Signs VM tokens and delivery sessions; its issuer is `murmur-catalog`. */
  signingKey: SigningKey;
  /** How long an unwrapped data key is remembered. */
  dataKeyCacheMs: number;
  /**
   * To rotation, which knows API keys and people; absent: keys are refused, and tokens alone say what their
   * bearers may. Closed by whoever opened it.
   */
  rotation?: Channel;
  tls?: ServerTls;
  clock?: Clock;
  log?: Log;
}

export interface Catalog {
  server: GrpcServer;
  /** Throws when the key provider is not this database's, UNAVAILABLE when it is away. */
  checkKeys(): Promise<void>;
  /** Cleans up and watches what the service depends on, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const MAX_TIMEOUT_MS = 30_000;

/** Builds the catalog: secrets, workspaces, environments, and the register of VMs. */
export function createCatalog(deps: CatalogDeps): Catalog {
  const { keySet, signingKey, clock = systemClock, log = silentLog } = deps;
  const audit = createAudit({ ...deps, schema: "catalog" });
  const { pool } = audit;
  const sessions = createDeliverySessions(clock);
  const { findProofKey } = sessions;
  const keyStore = createPostgresKeyStore(pool);
  const provider = withKeyCheck(keyStore, deps.keyProvider);
  const keys = createTenantKeys({
    store: keyStore,
    provider,
    cacheMs: deps.dataKeyCacheMs,
    clock,
  });
  const ended = createEndedTenants({
    db: pool,
    schema: "catalog",
    clock,
    onEnded: (tenantId) => {
      keys.forget(tenantId);
    },
  });
  const asking = deps.rotation && askRotation(deps.rotation, signingKey, { clock, log });
  const authenticate = createAuthenticator({
    ...{ keySet, service: "catalog", findProofKey, clock },
    ...(asking && { verifyKey: asking.verifyKey, admit: asking.admit }),
  });
  const server = createGrpcServer({
    authenticate: refuseEnded(authenticate, { ended, access: CATALOG_ACCESS }),
    readVouch: createVouchReader({ keySet, service: "catalog", clock }),
    access: CATALOG_ACCESS,
    descriptorSet: DESCRIPTOR_SET,
    log,
    maxTimeoutMs: MAX_TIMEOUT_MS,
    onRefused: audit.onRefused,
    ...(deps.tls && { tls: deps.tls }),
  });
  const rotationStore = createPostgresKeyRotationStore(pool);
  const keyRotations = createKeyRotations({ pool, store: rotationStore, provider, log });
  const vms = createPostgresVmStore({ pool, macs: createVmMacs(keys) });
  const environments = createEnvironments({ pool, keys, clock });
  const { takeSnapshots, preview, storeSpawnSecrets, setAgentSecrets, opener, values } =
    environments;
  const secrets = createSecrets({ store: createPostgresSecretStore(pool), keys, values, clock });
  const endings = createSecretEndings(createPostgresEndingStore(pool));
  const importAll = createImportSecrets({ store: createPostgresImportStore(pool), keys, clock });
  const workspaces = createWorkspaces(createPostgresWorkspaceStore(pool));
  const users = createUsers(createPostgresUserStore(pool));
  const releases = createPostgresReleaseStore(pool);

  const deliveries = createDeliveryRecords({ db: pool, clock, log });
  const delivery = { store: vms, environments: opener, sessions, deliveries };
  const deliverAhead = createDeliverAhead(delivery);

  server.add(SecretServiceService, createSecretService({ secrets, endings, importAll }));
  server.add(UserServiceService, createUserService({ users, secrets }));
  server.add(WorkspaceServiceService, createWorkspaceService(workspaces));
  server.add(
    EnvironmentServiceService,
    createEnvironmentService({
      ...{ takeSnapshots, preview, deliverAhead, storeSpawnSecrets, setAgentSecrets, releases },
      pins: createPostgresPinStore(pool),
    }),
  );
  const carrying = { pool, store: createPostgresCredentialSecretStore(pool), keys, values, clock };
  const credentialSecrets = createCredentialSecrets(carrying);
  server.add(CredentialSecretServiceService, createCredentialSecretService(credentialSecrets));
  server.add(VmServiceService, createVmService({ store: vms, signingKey, keySet, clock }));
  server.add(DeliveryServiceService, createDeliveryService({ ...delivery, signingKey }));
  server.add(EncryptionServiceService, createEncryptionService(keyRotations));
  server.add(TenantDataServiceService, createTenantDataService(createTenantData({ pool, clock })));
  server.add(AuditServiceService, audit.handlers);
  return {
    server,
    checkKeys: () => provider.check(),
    async run(signal) {
      await Promise.all([
        watchReadiness({ pool, provider, health: server.health, clock, log }, signal),
        cleanUp(
          { store: createPostgresExpiryStore(pool), keyRotations, ended, clock, log },
          signal,
        ),
        audit.run(signal),
        deliveries.run(signal),
        asking?.run(signal),
      ]);
    },
  };
}

/** What rotation alone knows of callers: whose API keys these are, and what developers may do now. */
function askRotation(channel: Channel, key: SigningKey, how: { clock: Clock; log: Log }) {
  const who = { channel, key, service: "catalog", tenantId: ALL_TENANTS };
  const verifier = createVerifier({ ...who, ...how });
  const verifyKey: VerifyKey = async (value) => toCaller(await verifier.verify(value));
  return { ...verifier, verifyKey };
}
