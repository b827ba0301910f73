import { randomUUID } from "node:crypto";
import type { AgentToSnapshot } from "../../gen/murmur/catalog/v1/environments";
import {
  SecretDelivery,
  type Secret,
  type SetSecretRequest,
} from "../../gen/murmur/catalog/v1/secrets";
import type { OpenedEnvironment } from "../../services/catalog/domain/environment";
import type { CatalogClients, TestCatalog, TestVm } from "./catalog";
import { createEnvironmentReader, type EnvironmentReader } from "./environment-reader";

/** A tenant of one's own in a test: its clients, one VM and a workspace that takes all secrets. */
export interface CatalogTenant {
  id: string;
  /** An owner. */
  owner: CatalogClients;
  rotation: CatalogClients["environments"];
  vm: TestVm;
  /** Fields of a SetSecret request; the value is `v` and the rest absent unless given. */
  write(fields: Partial<SetSecretRequest> & { name: string }): SetSecretRequest;
  set(name: string, value: string | Buffer, delivery?: SecretDelivery): Promise<Secret>;
  /** A new agent in the workspace `backend` on the VM. */
  agent(fields?: Partial<AgentToSnapshot>): AgentToSnapshot;
  snapshot(
    agents: AgentToSnapshot | AgentToSnapshot[],
    requestId?: string,
  ): ReturnType<CatalogClients["environments"]["snapshotEnvironments"]>;
  /** The values of a generation; throws when it is refused. */
  values(agent: AgentToSnapshot, generation: bigint): Promise<Record<string, string>>;
  /** The open generation, or the word for why it is refused. */
  open(agent: AgentToSnapshot, generation: bigint): Promise<OpenedEnvironment | string>;
}

export async function createCatalogTenant(
  catalog: TestCatalog,
  reader: EnvironmentReader = createEnvironmentReader(catalog),
): Promise<CatalogTenant> {
  const id = randomUUID();
  const owner = catalog.clients(catalog.developer({ tenantId: id }));
  const rotation = catalog.clients(catalog.rotation(id)).environments;
  const vm = await catalog.joinVm(id, "vm-1");
  await owner.workspaces.setWorkspace({ name: "backend", secretRefs: undefined, vms: [] });
  const write: CatalogTenant["write"] = (fields) => ({
    plaintextValue: Buffer.from("v"),
    createdAt: undefined,
    delivery: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
    requestId: "",
    ...fields,
  });
  return {
    id,
    owner,
    rotation,
    vm,
    write,
    async set(name, value, delivery = SecretDelivery.SECRET_DELIVERY_UNSPECIFIED) {
      const plaintextValue = Buffer.from(value);
      const request = write({ name, plaintextValue, delivery });
      return (await owner.secrets.setSecret(request)).secret!;
    },
    agent: (fields) => ({
      agentId: randomUUID(),
      workspace: "backend",
      vmId: vm.id,
      path: "fix-auth",
      developer: "github/alice",
      expectsSpawnSecrets: false,
      ...fields,
    }),
    snapshot: (agents, requestId = "") =>
      rotation.snapshotEnvironments({ agents: [agents].flat(), requestId }),
    values: ({ agentId }, generation) => reader.values(id, vm.id, agentId, generation),
    open: ({ agentId }, generation) => reader.open(id, vm.id, agentId, generation),
  };
}
