import { createHash, createHmac, randomUUID } from "node:crypto";
import type { AgentToSnapshot } from "../../../gen/murmur/catalog/v1/environments";
import { SecretDelivery } from "../../../gen/murmur/catalog/v1/secrets";
import {
  startCatalog,
  type CatalogClients,
  type TestCatalog,
  type TestVm,
} from "../../../test/harness/catalog";
import {
  createEnvironmentReader,
  type EnvironmentReader,
} from "../../../test/harness/environment-reader";
import type { OpenedEnvironment } from "../domain/environment";

let catalog: TestCatalog;
let reader: EnvironmentReader;

beforeAll(async () => {
  catalog = await startCatalog();
  reader = createEnvironmentReader(catalog);
});
afterAll(() => catalog.stop());

/** A tenant of its own with one VM and one workspace that takes all secrets. */
async function tenant(): Promise<Tenant> {
  const tenantId = randomUUID();
  const admin = catalog.clients(catalog.developer({ tenantId }));
  const rotation = catalog.clients(catalog.rotation(tenantId)).environments;
  const vm = await catalog.joinVm(tenantId, "vm-1");
  await admin.workspaces.setWorkspace({ name: "backend", secretRefs: undefined, vms: [] });
  return new Tenant(tenantId, admin, rotation, vm);
}

class Tenant {
  constructor(
    readonly id: string,
    readonly admin: CatalogClients,
    readonly rotation: CatalogClients["environments"],
    readonly vm: TestVm,
  ) {}

  async set(
    name: string,
    value: string | Buffer,
    delivery = SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
  ): Promise<bigint> {
    const { secret } = await this.admin.secrets.setSecret({
      name,
      plaintextValue: Buffer.from(value),
      createdAt: undefined,
      delivery,
      requestId: "",
    });
    return secret!.version;
  }

  agent(fields: Partial<AgentToSnapshot> = {}): AgentToSnapshot {
    return {
      agentId: randomUUID(),
      workspace: "backend",
      vmId: this.vm.id,
      path: "fix-auth",
      developer: "github/alice",
      ...fields,
    };
  }

  async snapshot(agents: AgentToSnapshot | AgentToSnapshot[], requestId = "") {
    const answer = await this.rotation.snapshotEnvironments({
      agents: [agents].flat(),
      requestId,
    });
    return answer.snapshots;
  }

  values(agent: AgentToSnapshot, generation: bigint) {
    return reader.values(this.id, this.vm.id, agent.agentId, generation);
  }

  async open(agent: AgentToSnapshot, generation: bigint): Promise<OpenedEnvironment> {
    const opened = await reader.open(this.id, this.vm.id, agent.agentId, generation);
    if (typeof opened === "string") throw new Error(opened);
    return opened;
  }
}

describe("SnapshotEnvironments", () => {
  it("pins what is current, so that a later write changes no earlier generation", async () => {
    const acme = await tenant();
    await acme.set("DATABASE_URL", "one");
    const agent = acme.agent();
    const [first] = await acme.snapshot(agent);
    await acme.set("DATABASE_URL", "two");
    const [second] = await acme.snapshot(agent);
    expect(await acme.values(agent, first!.generation)).toEqual({ DATABASE_URL: "one" });
    expect(await acme.values(agent, second!.generation)).toEqual({ DATABASE_URL: "two" });
    expect([first!.generation, second!.generation]).toEqual([1n, 2n]);
    expect(second).toMatchObject({ unchanged: false, changedNames: ["DATABASE_URL"] });
  });

  it("tells the fingerprint that the VM works out from the open set", async () => {
    const acme = await tenant();
    await acme.set("A", "1");
    await acme.set("Z_PEM", Buffer.from([0xff, 0xfe]), SecretDelivery.SECRET_DELIVERY_FILE);
    const agent = acme.agent();
    const [snapshot] = await acme.snapshot(agent);
    const opened = await acme.open(agent, 1n);
    const digest = createHash("sha256");
    for (const { name, value, asFile } of opened.variables) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.expose().length);
      digest.update(`${name}\0`).update(Buffer.from([asFile ? 1 : 0]));
      digest.update(length).update(value.expose());
    }
    const fingerprint = createHmac("sha256", opened.fingerprintKey.expose())
      .update(`${agent.agentId}\u00001\0`)
      .update(digest.digest())
      .digest();
    expect(snapshot!.fingerprint).toEqual(fingerprint);
  });

  it("makes a generation though nothing changed, with another fingerprint, and says so", async () => {
    const acme = await tenant();
    await acme.set("A", "1");
    const agent = acme.agent();
    const [first] = await acme.snapshot(agent);
    const [second] = await acme.snapshot(agent);
    expect(second).toMatchObject({ generation: 2n, unchanged: true, changedNames: [] });
    expect(second!.fingerprint).not.toEqual(first!.fingerprint);
  });

  it("unsets every name that any earlier generation had and this one has not", async () => {
    const acme = await tenant();
    const agent = acme.agent();
    for (const name of ["A", "B", "C"]) await acme.set(name, "1");
    await acme.snapshot(agent);
    await acme.admin.secrets.deleteSecret({ name: "A" });
    const [second] = await acme.snapshot(agent);
    await acme.admin.secrets.deleteSecret({ name: "B" });
    await acme.snapshot(agent);
    await acme.set("A", "back");
    await acme.snapshot(agent);
    expect(second!.changedNames).toEqual(["A"]);
    expect((await acme.open(agent, 2n)).unsetNames).toEqual(["A"]);
    expect((await acme.open(agent, 3n)).unsetNames).toEqual(["A", "B"]);
    expect((await acme.open(agent, 4n)).unsetNames).toEqual(["B"]);
  });
});
