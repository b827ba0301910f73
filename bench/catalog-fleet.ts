import { generateKeyPairSync, randomBytes, randomUUID, sign } from "node:crypto";
import { DeliveryServiceService } from "../gen/murmur/catalog/v1/delivery";
import { EnvironmentServiceService } from "../gen/murmur/catalog/v1/environments";
import { SecretDelivery, SecretServiceService } from "../gen/murmur/catalog/v1/secrets";
import { VmServiceService } from "../gen/murmur/catalog/v1/vms";
import { WorkspaceServiceService } from "../gen/murmur/catalog/v1/workspaces";
import { systemClock } from "../lib/clock";
import { createClient, openChannel, withCredentials, type ClientOf } from "../lib/grpc/client";
import { issueDeveloperToken } from "../lib/identity/claims";
import {
  bearerCredentials,
  serviceCredentials,
  sessionCredentials,
  vmCredentials,
} from "../lib/identity/credentials";
import { decapsulateKey, generateAgreementKey } from "../lib/identity/key-agreement";
import { keySetOf } from "../lib/identity/key-set";
import { joinMessage, sessionRequestMessage } from "../lib/identity/signed-messages";
import { generateSigningKey, rawPublicKey, toPublicKey } from "../lib/identity/signing-key";
import { type Pool } from "../lib/postgres/db";
import { sensitive } from "../lib/sensitive";
import { createCatalog } from "../services/catalog/catalog";
import { createLocalKeyProvider } from "../services/catalog/keys/local-key-provider";
import { keyringOf } from "../services/catalog/keys/local-keyring";

/** A catalog in this process with one VM that has joined, and generations bound to it. */
export interface CatalogFleet {
  tenantId: string;
  vmId: string;
  sessionId: string;
  address: string;
  delivery: ClientOf<typeof DeliveryServiceService>;
  /** The VM's metadata for one call: its token, and a proof that is good once. */
  prove: (method: string) => Promise<Record<string, string>>;
  environments: { agentId: string; generation: bigint }[];
  stop(): Promise<void>;
}

const TENANT = "bench";
const randomText = () => Buffer.from(randomBytes(30).toString("base64"));

/** `pool` is on a database that holds the schema of the catalog. */
export async function startCatalogFleet(
  pool: Pool,
  size: { secrets: number; agents: number },
): Promise<CatalogFleet> {
  const rotationKey = generateSigningKey("murmur-rotation");
  const catalogKey = generateSigningKey("murmur-catalog");
  const catalog = createCatalog({
    pool,
    keyProvider: createLocalKeyProvider(
      keyringOf({ id: randomUUID(), key: sensitive(randomBytes(32)) }),
    ),
    keySet: keySetOf([toPublicKey(rotationKey), toPublicKey(catalogKey)]),
    signingKey: catalogKey,
    dataKeyCacheMs: 600_000,
  });
  const address = `127.0.0.1:${await catalog.server.listen("127.0.0.1:0")}`;
  const channel = openChannel({ address });
  const developer = { tenantId: TENANT, developer: "bench/bench", role: "owner" as const };
  const token = await issueDeveloperToken(rotationKey, { ...developer, ttlSeconds: 3600 });
  const asOwner = withCredentials(channel, bearerCredentials(sensitive(token)));

  const { setSecret } = createClient(SecretServiceService, asOwner);
  for (let at = 0; at < size.secrets; at++) {
    await setSecret({
      ...{ name: `BENCH_SECRET_${10 + at}`, plaintextValue: randomText() },
      ...{ createdAt: undefined, delivery: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT },
      requestId: "",
    });
  }
  const workspaces = createClient(WorkspaceServiceService, asOwner);
  await workspaces.setWorkspace({ name: "bench", secretRefs: undefined, vms: [] });

  const vm = await joinVm(channel, asOwner);
  const asRotation = serviceCredentials({
    ...{ key: rotationKey, service: "rotation", audience: "catalog", tenantId: TENANT },
  });
  const snapshots = createClient(EnvironmentServiceService, withCredentials(channel, asRotation));
  const agents = Array.from({ length: size.agents }, (_, at) => ({
    ...{ agentId: randomUUID(), workspace: "bench", vmId: vm.vmId, path: `agent-${at}` },
    ...{ developer: "bench/bench", expectsSpawnSecrets: false },
  }));
  const taken = await snapshots.snapshotEnvironments({ agents, requestId: randomUUID() });
  return {
    ...{ tenantId: TENANT, address },
    ...vm,
    environments: taken.snapshots.map(({ agentId, generation }) => ({ agentId, generation })),
    async stop() {
      channel.close();
      await catalog.server.stop(1_000);
    },
  };
}

type Channel = ReturnType<typeof openChannel>;

async function joinVm(channel: Channel, asOwner: Channel) {
  const identity = generateKeyPairSync("ed25519");
  const { joinToken } = await createClient(VmServiceService, asOwner).issueJoinToken({
    name: "vm",
  });
  const { vmId, vmToken } = await createClient(VmServiceService, channel).joinVm({
    joinToken,
    identityPublicKey: rawPublicKey(identity.publicKey),
    signature: sign(null, joinMessage(sensitive(joinToken)), identity.privateKey),
  });
  const asVm = vmCredentials(identity, () => Promise.resolve(sensitive(vmToken)));
  const delivery = createClient(DeliveryServiceService, withCredentials(channel, asVm));
  const own = await generateAgreementKey();
  const request = { vmId, incarnation: randomBytes(16), hpkePublicKey: own.publicKey };
  const info = sessionRequestMessage(request);
  const signature = sign(null, info, identity.privateKey);
  const opened = await delivery.openDeliverySession({ ...request, signature });
  const { sessionId } = opened;
  const { proofKey } = await decapsulateKey(own, opened.encapsulatedKey, info);
  const session = { id: sessionId, proofKey };
  const currentToken = () => Promise.resolve(sensitive(vmToken));
  const prove = sessionCredentials(session, currentToken, systemClock);
  return { vmId, sessionId, delivery, prove };
}
