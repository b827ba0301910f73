import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
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
import { createAudit } from "../../lib/audit/audit";
import { type Clock, systemClock } from "../../lib/clock";
import { unavailable } from "../../lib/errors";
import type { Channel } from "../../lib/grpc/client";
import type { GrpcServer } from "../../lib/grpc/server";
import type { ServerTls } from "../../lib/grpc/tls";
import type { KeySet } from "../../lib/identity/key-set";
import type { SigningKey } from "../../lib/identity/signing-key";
import { type Log, silentLog } from "../../lib/log";
import type { Pool } from "../../lib/postgres/db";
import { createAgentBindings } from "./agents/agent-bindings";
import { createAgentService } from "./agents/rpc/agent-service";
import { withLaunchCheck } from "./agents/store/launch-check";
import { createPostgresAgentStore } from "./agents/store/postgres-agent-store";
import { postgresAgentWriter } from "./agents/store/postgres-agent-writer";
import { createMissingGenerations } from "./agents/missing-generations";
import { createAnnouncer } from "./announce/announcer";
import { runHeartbeats } from "./announce/heartbeats";
import { createKafkaPublisher, type KafkaTarget } from "./announce/kafka-publisher";
import { createStreamTail } from "./announce/stream-tail";
import { runUpkeep } from "./announce/upkeep";
import { createVmStreams } from "./announce/vm-streams";
import { createBindingService } from "./bindings/rpc/binding-service";
import { postgresBindingStore as bindingStore } from "./bindings/store/postgres-binding-store";
import { createCatalogClient } from "./catalog/catalog-client";
import { createServer } from "./create-server";
import { createCredentials } from "./credentials/create-credentials";
import { createKeyVerifier } from "./credentials/rpc/verify-key";
import { postgresSealedAnswerStore } from "./credentials/store/postgres-sealed-answer-store";
import { createIdentityService } from "./identity/rpc/identity-service";
import { createIdentityTokenCheck } from "./identity/verify-identity-tokens";
import { postgresAttemptStore as attempts } from "./limits/postgres-attempt-store";
import { createFleetMetrics } from "./metrics/fleet-metrics";
import { createAdmission } from "./people/admit";
import { createPeopleService } from "./people/rpc/people-service";
import { postgresPersonStore } from "./people/store/postgres-person-store";
import { createPostgresReleaseStore } from "./releases/postgres-release-store";
import { createReleases } from "./releases/releases";
import { createRemovedVms } from "./removed-vms/removed-vms";
import { createCanaries } from "./rollouts/canaries";
import { createRolloutSignals } from "./rollouts/rollout-signals";
import { createRolloutService } from "./rollouts/rpc/rollout-service";
import { postgresCanaryStore } from "./rollouts/store/postgres-canary-store";
import { createPostgresRolloutStore } from "./rollouts/store/postgres-rollout-store";
import { postgresInvitationStore as invitations } from "./self-rotation/store/postgres-invitation-store";
import type { OpenRegistration } from "./self-rotation/register-agent";
import { createSelfRotation } from "./self-rotation/self-rotation";
import { createSessions } from "./sessions/create-sessions";
import { postgresSessionStore as sessions } from "./sessions/store/postgres-session-store";
import { createSignIn } from "./sign-in/create-sign-in";
import type { SignInSettings } from "./sign-in/exchange-token";
import { postgresSignInStore as signIns } from "./sign-in/store/postgres-sign-in-store";
import { createTenants } from "./tenants/create-tenants";
import { createIntake } from "./vm-sync/intake";
import { createVmSyncService } from "./vm-sync/rpc/vm-sync-service";
import { createPostgresVmStore, postgresEvidenceStore } from "./vm-sync/store/postgres-vm-store";

export interface RotationDeps {
  pool: Pool;
  /** To the catalog; closed by whoever opened it. */
  catalog: Channel;
  /** Public keys of this service (developers, services) and of the catalog (VMs). */
  keySet: KeySet;
  /** Signs developers' tokens and this service's own; its issuer is `murmur-rotation`. */
  signingKey: SigningKey;
  /** Signing keys before it: agents that were spawned under them stay good. */
  earlierSigningKeys?: readonly SigningKey[];
  /** Whose agents are those that anyone may register; absent: nobody may without an invitation. */
  openRegistration?: OpenRegistration;
  /** Absent: VMs are woken over their streams only. */
  kafka?: KafkaTarget;
  /** Absent: nobody signs in with an identity provider. */
  signIn?: SignInSettings;
  /** For how long nobody may have used an old value before it is ended on evidence. */
  quietMs?: number | undefined;
  tls?: ServerTls;
  clock?: Clock;
  log?: Log;
}

export interface Rotation {
  server: GrpcServer;
  /** Follows the outbox and does what nobody waits for, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** All of them wait for one signal: that so many do is no leak. */
const MAX_LOOPS = 20;

/** Builds rotation: agents, rollouts, what VMs say and hear, developers' identity. */
export function createRotation(deps: RotationDeps): Rotation {
  const { clock = systemClock, log = silentLog, signingKey } = deps;
  const audit = createAudit({ ...deps, schema: "rotation" });
  const { pool, gather } = audit;
  const [answers, people] = [postgresSealedAnswerStore, postgresPersonStore];
  const selfRotation = createSelfRotation({ ...deps, pool, gather, answers, people, clock, log });
  const replicaId = randomUUID();
  const tokens = { answers, people, tokenUses: selfRotation.uses };
  const credentials = createCredentials({ pool, replicaId, ...tokens, clock, log });
  const signIn = createSignIn(deps.signIn, { pool, gather, clock, log });
  const admit = createAdmission({ pool, people, lease: credentials.lease });
  const verifyTokens = createIdentityTokenCheck({ keySet: deps.keySet, admit, clock });
  const verifyKey = createKeyVerifier(credentials.verifying);
  const tenants = createTenants({ pool, people, clock });
  const server = createServer(deps, {
    ...{ admit, ended: tenants.ended, clock, log, verifyKey, onRefused: audit.onRefused },
  });
  const stopping = new AbortController();
  const bindings = createAgentBindings(deps);
  const { agents, writer } = withLaunchCheck({
    ...{ agents: createPostgresAgentStore(pool), writer: postgresAgentWriter, bindings, log },
  });
  const rollouts = createPostgresRolloutStore(pool);
  const vms = createPostgresVmStore(pool);
  const evidence = postgresEvidenceStore;
  const catalog = createCatalogClient({ channel: deps.catalog, key: signingKey });
  const signals = createRolloutSignals();
  const streams = createVmStreams(clock);
  const kafka =
    deps.kafka && createKafkaPublisher({ pool, log, clock, health: server.health }, deps.kafka);
  const announcer = createAnnouncer({ streams, nudge: () => kafka?.wake() });
  const tail = createStreamTail({ db: pool, agents, streams, announcer, clock, log });
  const metrics = createFleetMetrics({ db: pool, log });
  const intake = createIntake({ pool, evidence, signals, streams, metrics, log });
  const common = {
    ...{ pool, agents, writer, bindings, rollouts, catalog, evidence, announcer, signals, log },
    canaries: postgresCanaryStore,
  };
  const removedVms = createRemovedVms({ ...common, vms, streams, clock });
  const missingGenerations = createMissingGenerations({ ...common, clock });
  const catchUpRemovals = () => removedVms.catchUp();
  const canaries = createCanaries({ ...common, catchUpRemovals, clock });
  const released = createPostgresReleaseStore(pool);
  const releases = createReleases({ store: released, catalog, clock, log });

  const contactOf = (tenantId: string, vmId: string) => vms.contactOf(tenantId, vmId);
  server.add(AgentServiceService, createAgentService({ ...common, contactOf }));
  server.add(
    RolloutServiceService,
    createRolloutService({ ...common, catchUpRemovals, stopping: stopping.signal }),
  );
  const sync = createVmSyncService({ db: pool, replicaId, intake, agents, vms, streams, tail });
  server.add(VmSyncServiceService, tenants.vms.serve(sync));
  server.add(
    IdentityServiceService,
    createIdentityService({ db: pool, signingKey, clock, signIn, verifyTokens }),
  );
  const issued = credentials.serve({ ...common, catchUpRemovals, quietMs: deps.quietMs });
  server.add(CredentialServiceService, issued.service);
  const ending = tenants.serve({ ...common, streams });
  server.add(TenantServiceService, ending.service);
  server.add(SessionServiceService, createSessions({ pool, people, clock }));
  server.add(PeopleServiceService, createPeopleService({ pool, people, clock }));

  const bindingDeps = { pool, bindings: bindingStore, attempts, gather };
  server.add(BindingServiceService, createBindingService(bindingDeps));
  server.add(SelfRotationServiceService, selfRotation.service(common));
  server.add(AuditServiceService, audit.handlers);

  const endStreams = () => {
    server.health.set("", false);
    streams.closeAll(unavailable("the service is stopping", undefined, 0));
    stopping.abort();
  };
  const upkeep = { db: pool, answers, attempts, invitations, signIns, sessions, clock, log };
  return {
    server,
    async run(signal) {
      setMaxListeners(MAX_LOOPS, signal);
      signal.addEventListener("abort", endStreams, { once: true });
      await Promise.all([
        tail.run(signal),
        runHeartbeats({ replicaId, vms, tail, streams, health: server.health, clock, log }, signal),
        metrics.run(signal),
        removedVms.run(signal),
        releases.run(signal),
        missingGenerations.run(signal),
        canaries.run(signal),
        kafka?.run(signal),
        audit.run(signal),
        selfRotation.run(signal),
        issued.run(signal),
        ending.deletions.run(signal),
        runUpkeep({ ...upkeep, hasPublisher: kafka !== undefined }, signal),
      ]);
    },
  };
}
