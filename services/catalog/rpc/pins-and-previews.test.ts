import { randomUUID } from "node:crypto";
import {
  SecretScope,
  type AgentToSnapshot,
  type EnvironmentPreview,
} from "../../../gen/murmur/catalog/v1/environments";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";

const { SECRET_SCOPE_TENANT: TENANT, SECRET_SCOPE_SPAWN: SPAWN } = SecretScope;

let catalog: TestCatalog;
let acme: CatalogTenant;
beforeAll(async () => {
  catalog = await startCatalog();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
});
afterAll(() => catalog.stop());

const release = ({ agentId }: AgentToSnapshot, floor: bigint, ended = false) =>
  acme.rotation.releaseGenerations({ releases: [{ agentId, floor, confirmed: floor, ended }] });
const find = (
  secretName: string,
  generations: [AgentToSnapshot, bigint][],
  by: CatalogTenant = acme,
) =>
  by.rotation.findPins({
    secretName,
    generations: generations.map(([{ agentId }, generation]) => ({ agentId, generation })),
  });

describe("FindPins", () => {
  it("tells which version each generation pins, and which are not kept any more", async () => {
    await acme.set("A", "1");
    const [agent, over] = [acme.agent(), acme.agent()];
    await acme.snapshot([agent, over]);
    await acme.set("A", "2");
    await acme.snapshot(agent);
    await acme.owner.secrets.deleteSecret({ name: "A" });
    await acme.snapshot(agent);
    await release(over, 1n, true);
    const asked: [AgentToSnapshot, bigint][] = [
      ...[1n, 2n, 3n, 9n].map((it): [AgentToSnapshot, bigint] => [agent, it]),
      [over, 1n],
    ];
    const { pins, unknown } = await find("A", asked);
    const { agentId } = agent;
    expect(pins.sort((a, b) => Number(a.generation - b.generation))).toEqual([
      { agentId, generation: 1n, scope: TENANT, version: 1n },
      { agentId, generation: 2n, scope: TENANT, version: 2n },
    ]);
    expect(unknown).toHaveLength(2);
    expect(unknown).toEqual(
      expect.arrayContaining([
        { agentId, generation: 9n },
        { agentId: over.agentId, generation: 1n },
      ]),
    );
    await release(agent, 2n);
    expect(await find("A", asked.slice(0, 1))).toEqual({
      ...{ pins: [], unknown: [{ agentId, generation: 1n }], hadAgentIds: [agentId] },
    });
    expect((await find("NEVER", asked)).hadAgentIds).toEqual([]);
  });

  it("says whose secret it is, and a destroyed version has its number still", async () => {
    await acme.set("A", "1");
    const agent = acme.agent({ expectsSpawnSecrets: true });
    const secrets = [{ name: "ONLY", plaintextValue: Buffer.from("v") }];
    await acme.owner.environments.storeSpawnSecrets({ agentId: agent.agentId, secrets });
    await acme.snapshot(agent);
    expect((await find("ONLY", [[agent, 1n]])).pins).toMatchObject([{ scope: SPAWN }]);
    expect((await find("A", [[agent, 1n]])).pins).toMatchObject([{ scope: TENANT, version: 1n }]);
  });

  it("finds nothing of another tenant's", async () => {
    await acme.set("A", "1");
    const agent = acme.agent();
    await acme.snapshot(agent);
    const globex = await createCatalogTenant(catalog);
    const { agentId } = agent;
    expect(await find("A", [[agent, 1n]], globex)).toEqual({
      pins: [],
      unknown: [{ agentId, generation: 1n }],
      hadAgentIds: [],
    });
  });

  it("refuses a name that no secret can have, too many generations, and ids of another form", async () => {
    const refused = (field: string) => ({ code: "INVALID_ARGUMENT", metadata: { field } });
    await expect(find("foo", [])).rejects.toMatchObject({
      ...refused("secret_name"),
      message: 'secret name "foo" must match [A-Z][A-Z0-9_]*',
    });
    await expect(find("A", [[acme.agent({ agentId: "X" }), 1n]])).rejects.toMatchObject(
      refused("generations[0].agent_id"),
    );
    const many = Array<[AgentToSnapshot, bigint]>(10_001).fill([acme.agent(), 1n]);
    await expect(find("A", many)).rejects.toMatchObject(refused("generations"));
  });
});

describe("PreviewEnvironments", () => {
  const preview = async (agent: AgentToSnapshot, fromGeneration: bigint, by = acme) =>
    (await by.rotation.previewEnvironments({ agents: [{ agent, fromGeneration }] })).previews[0];
  const changes = (change: Partial<EnvironmentPreview>) => ({
    ...{ addedNames: [], changedNames: [], removedNames: [], missingNames: [], refusal: "" },
    ...change,
  });

  it("names what a snapshot would add, change and remove, and makes nothing", async () => {
    await acme.set("GONE", "1");
    await acme.set("KEPT", "1");
    await acme.set("NEWER", "1");
    const agent = acme.agent();
    await acme.snapshot(agent);
    expect(await preview(agent, 1n)).toMatchObject(changes({}));
    await acme.owner.secrets.deleteSecret({ name: "GONE" });
    await acme.set("NEWER", "2");
    await acme.set("FRESH", "1");
    const expected = { addedNames: ["FRESH"], changedNames: ["NEWER"], removedNames: ["GONE"] };
    expect(await preview(agent, 1n)).toMatchObject(changes(expected));
    expect((await acme.snapshot(agent)).snapshots[0]!.generation).toBe(2n);
    expect(await preview(agent, 2n)).toMatchObject(changes({}));
  });

  it("compares with nothing where the generation is none, and names what refs miss", async () => {
    await acme.set("A", "1");
    const refs = { name: "backend", secretRefs: { names: ["A", "LOST"] }, vms: [] };
    await acme.owner.workspaces.setWorkspace(refs);
    expect(await preview(acme.agent(), 0n)).toMatchObject(
      changes({ addedNames: ["A"], missingNames: ["LOST"] }),
    );
  });

  it("says of each agent by itself why it would get none", async () => {
    const bereft = acme.agent({ path: "bereft", expectsSpawnSecrets: true });
    const astray = acme.agent({ path: "astray", vmId: randomUUID() });
    const agents = [bereft, astray, acme.agent()].map((agent) => ({ agent, fromGeneration: 0n }));
    const { previews } = await acme.rotation.previewEnvironments({ agents });
    expect(previews.map(({ refusal }) => refusal)).toEqual([
      'spawn-time secrets of agent "bereft" are gone: spawn it again',
      'the VM of agent "astray" is not registered any more',
      "",
    ]);
  });

  it("compares with no generation of another tenant, and reads none of its secrets", async () => {
    await acme.set("A", "1");
    const agent = acme.agent();
    await acme.snapshot(agent);
    const globex = await createCatalogTenant(catalog);
    const theirs = globex.agent({ agentId: agent.agentId });
    expect(await preview(theirs, 1n, globex)).toMatchObject(changes({}));
  });

  it("refuses no agents, and an entry without one", async () => {
    await expect(acme.rotation.previewEnvironments({ agents: [] })).rejects.toMatchObject({
      metadata: { field: "agents" },
    });
    const agents = [
      { agent: undefined, fromGeneration: 0n },
      { agent: acme.agent(), fromGeneration: 0n },
    ];
    await expect(acme.rotation.previewEnvironments({ agents })).rejects.toMatchObject({
      metadata: { field: "agents[0].agent" },
    });
  });
});
