import { AuditServiceService } from "../../gen/murmur/audit/v1/audit";
import { AgentServiceService } from "../../gen/murmur/rotation/v1/agents";
import { BindingServiceService } from "../../gen/murmur/rotation/v1/bindings";
import { CredentialServiceService } from "../../gen/murmur/rotation/v1/credentials";
import { IdentityServiceService } from "../../gen/murmur/rotation/v1/identity";
import { PeopleServiceService } from "../../gen/murmur/rotation/v1/people";
import { RolloutServiceService } from "../../gen/murmur/rotation/v1/rollouts";
import { SelfRotationServiceService } from "../../gen/murmur/rotation/v1/self_rotation";
import { TenantServiceService } from "../../gen/murmur/rotation/v1/tenants";
import { SessionServiceService } from "../../gen/murmur/rotation/v1/sessions";
import { VmSyncServiceService } from "../../gen/murmur/rotation/v1/vm_sync";
import type { Clock } from "../../lib/clock";
import {
  createClient,
  openChannel,
  withCredentials,
  type ClientOf,
  type Credentials,
} from "../../lib/grpc/client";
import type { Log } from "../../lib/log";
import type { Pool } from "../../lib/postgres/db";
import { createPool } from "../../lib/postgres/pool";
import type { Sensitive } from "../../lib/sensitive";
import { createRotation, type Rotation, type RotationDeps } from "../../services/rotation/rotation";
import type { TestCatalog } from "./catalog";
import { createTestDatabase, type TestDatabase } from "./postgres";

export interface RotationClients {
  agents: ClientOf<typeof AgentServiceService>;
  rollouts: ClientOf<typeof RolloutServiceService>;
  vmSync: ClientOf<typeof VmSyncServiceService>;
  identity: ClientOf<typeof IdentityServiceService>;
  credentials: ClientOf<typeof CredentialServiceService>;
  bindings: ClientOf<typeof BindingServiceService>;
  people: ClientOf<typeof PeopleServiceService>;
  sessions: ClientOf<typeof SessionServiceService>;
  selfRotation: ClientOf<typeof SelfRotationServiceService>;
  tenants: ClientOf<typeof TenantServiceService>;
  audit: ClientOf<typeof AuditServiceService>;
}

export interface TestRotation {
  /** host:port */
  address: string;
  database: TestDatabase;
  /** The service's own pool. */
  pool: Pool;
  rotation: Rotation;
  clients(credentials?: Credentials): RotationClients;
  /** Begins the stop as a signal to the process does; `stop` finishes it. */
  interrupt(): void;
  stop(): Promise<void>;
}

export interface TestRotationOptions {
  /** Whose keys are shared, and which is asked for snapshots. */
  catalog: Pick<TestCatalog, "address" | "rotationKey" | "keySet">;
  /** Another replica whose database is shared, or the same one before a restart. */
  beside?: Pick<TestRotation, "database">;
  /** Another way to the database, through a proxy that a test can cut. */
  databaseUrl?: Sensitive<string>;
  kafka?: NonNullable<RotationDeps["kafka"]>;
  openRegistration?: NonNullable<RotationDeps["openRegistration"]>;
  signIn?: NonNullable<RotationDeps["signIn"]>;
  /** 0 unless told otherwise. */
  quietMs?: number;
  /** What the service gets in place of its pool. */
  wrapPool?: (pool: Pool) => Pool;
  clock?: Clock;
  log?: Log;
}

/**
 * Starts rotation in this process on a free port, with a database of its own unless `beside` shares
 * another's. `stop` it in `afterAll`, before the catalog; the one that made the database drops it.
 */
export async function startRotation(options: TestRotationOptions): Promise<TestRotation> {
  const { catalog, beside } = options;
  const database = beside?.database ?? (await createTestDatabase("rotation"));
  const url = options.databaseUrl ?? database.url;
  const pool = createPool({
    url,
    applicationName: "rotation-under-test",
    // To be let in takes long on a machine with much else to do.
    ...(options.databaseUrl === undefined && { connectTimeoutMs: 20_000 }),
  });
  const catalogChannel = openChannel({ address: catalog.address });
  const rotation = createRotation({
    pool: options.wrapPool?.(pool) ?? pool,
    catalog: catalogChannel,
    keySet: catalog.keySet,
    signingKey: catalog.rotationKey,
    ...(options.kafka && { kafka: options.kafka }),
    ...(options.openRegistration && { openRegistration: options.openRegistration }),
    ...(options.signIn && { signIn: options.signIn }),
    quietMs: options.quietMs ?? 0,
    ...(options.clock && { clock: options.clock }),
    ...(options.log && { log: options.log }),
  });
  const running = new AbortController();
  const run = rotation.run(running.signal);
  rotation.server.health.set("", true);
  const address = `127.0.0.1:${await rotation.server.listen("127.0.0.1:0")}`;
  const channel = openChannel({ address });
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    running.abort();
    channel.close();
    await rotation.server.stop(500);
    await run;
    catalogChannel.close();
    await pool.close();
    if (!beside) await database.drop();
  };
  return {
    address,
    database,
    pool,
    rotation,
    clients: (credentials) => {
      const authenticated = credentials ? withCredentials(channel, credentials) : channel;
      return {
        agents: createClient(AgentServiceService, authenticated),
        rollouts: createClient(RolloutServiceService, authenticated),
        vmSync: createClient(VmSyncServiceService, authenticated),
        identity: createClient(IdentityServiceService, authenticated),
        credentials: createClient(CredentialServiceService, authenticated),
        bindings: createClient(BindingServiceService, authenticated),
        people: createClient(PeopleServiceService, authenticated),
        sessions: createClient(SessionServiceService, authenticated),
        selfRotation: createClient(SelfRotationServiceService, authenticated),
        tenants: createClient(TenantServiceService, authenticated),
        audit: createClient(AuditServiceService, authenticated),
      };
    },
    interrupt: () => {
      running.abort();
    },
    stop: () => (stopping ??= stop()),
  };
}
