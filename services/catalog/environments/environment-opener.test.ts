import { randomUUID } from "node:crypto";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";
import {
  createEnvironmentReader,
  type EnvironmentReader,
} from "../../../test/harness/environment-reader";
import { createTestKeyProvider } from "../../../test/harness/key-provider";

const provider = createTestKeyProvider();
let catalog: TestCatalog;
let acme: CatalogTenant;
/** Remembers nothing of earlier tests. */
let reader: EnvironmentReader;
beforeAll(async () => {
  catalog = await startCatalog({ keyProvider: provider });
});
beforeEach(async () => {
  reader = createEnvironmentReader(catalog);
  acme = await createCatalogTenant(catalog, reader);
});
afterAll(() => catalog.stop());

const sql = (text: string, params: unknown[] = []) =>
  catalog.database.pool.query(text, [acme.id, ...params]);

async function agentWith(values: Record<string, string>) {
  for (const [name, value] of Object.entries(values)) await acme.set(name, value);
  const agent = acme.agent();
  await acme.snapshot(agent);
  return agent;
}

describe("a generation is not available", () => {
  it("to another VM of the tenant, nor to one of another tenant", async () => {
    const agent = await agentWith({ A: "1" });
    const { agentId } = agent;
    const other = await catalog.joinVm(acme.id, "vm-2");
    const globex = await createCatalogTenant(catalog);
    expect(await reader.open(acme.id, other.id, agentId, 1n)).toBe("not-available");
    expect(await reader.open(globex.id, globex.vm.id, agentId, 1n)).toBe("not-available");
    expect(await reader.open(globex.id, acme.vm.id, agentId, 1n)).toBe("not-available");
    expect(await acme.values(agent, 1n)).toEqual({ A: "1" });
  });

  it("when it never was", async () => {
    const agent = await agentWith({});
    for (const generation of [0n, 2n, -1n, 2n ** 62n])
      expect(await acme.open(agent, generation)).toBe("not-available");
    for (const agentId of [randomUUID(), "no id", ""])
      expect(await acme.open({ ...agent, agentId }, 1n)).toBe("not-available");
  });

  it("below the agent's floor, though its row is still there", async () => {
    const agent = await agentWith({ A: "1" });
    await acme.snapshot(agent);
    await sql("update catalog.agents set floor = 2 where tenant_id = $1");
    expect(await acme.open(agent, 1n)).toBe("not-available");
    expect(await acme.open(agent, 2n)).toMatchObject({ floor: 2n });
  });

  it("when its agent is over", async () => {
    const agent = await agentWith({ A: "1" });
    await sql("update catalog.agents set ended_at = now() where tenant_id = $1");
    expect(await acme.open(agent, 1n)).toBe("not-available");
  });
});

describe("what was changed in the database gives nothing", () => {
  it("when a generation is planted for another VM", async () => {
    const agent = await agentWith({ A: "1" });
    const thief = await catalog.joinVm(acme.id, "vm-2");
    await sql(
      `insert into catalog.generations (tenant_id, agent_id, generation, vm_id, set_id, unset_names,
         data_key_id, mac)
       select tenant_id, agent_id, 2, $2, set_id, unset_names, data_key_id, mac
       from catalog.generations where tenant_id = $1`,
      [thief.id],
    );
    expect(await reader.open(acme.id, thief.id, agent.agentId, 2n)).toBe("tampered");
    await sql("update catalog.generations set vm_id = $2 where tenant_id = $1", [thief.id]);
    expect(await reader.open(acme.id, thief.id, agent.agentId, 1n)).toBe("tampered");
  });

  it.each([
    ["its number", "generation = 9", 9n],
    [
      "its set",
      "set_id = (select set_id from catalog.generations where generation = 2 and tenant_id = $1)",
      1n,
    ],
    ["the names that it unsets", `unset_names = '["A"]'`, 1n],
    ["its MAC", "mac = decode(repeat('00', 32), 'hex')", 1n],
    ["the length of its MAC", "mac = ''", 1n],
    ["its data key", "data_key_id = gen_random_uuid()", 1n],
  ])("when %s is changed", async (_what, change, generation) => {
    const agent = await agentWith({ A: "1" });
    await acme.set("A", "2");
    await acme.snapshot(agent);
    await sql(`update catalog.generations set ${change} where tenant_id = $1 and generation = 1`);
    expect(await acme.open(agent, generation)).toBe("tampered");
  });

  it("when a set's content is changed", async () => {
    const agent = await agentWith({ A: "1", B: "2" });
    await sql(`update catalog.environment_sets set refs = refs - 0 where tenant_id = $1`);
    expect(await acme.open(agent, 1n)).toBe("tampered");
  });

  it("when a value is put in the place of another, of a name or of a tenant", async () => {
    const agent = await agentWith({ A: "1", B: "2" });
    await sql(
      `update catalog.secret_versions set sealed = (select sealed from catalog.secret_versions
         where tenant_id = $1 and name = 'B') where tenant_id = $1 and name = 'A'`,
    );
    expect(await acme.open(agent, 1n)).toBe("tampered");
  });

  it("when a secret is pointed at a version of another name: no generation is made", async () => {
    await agentWith({ A: "1", B: "2" });
    await sql(
      `update catalog.secrets set version_id = (select version_id from catalog.secrets
         where tenant_id = $1 and name = 'B') where tenant_id = $1 and name = 'A'`,
    );
    await expect(acme.snapshot(acme.agent())).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: expect.stringContaining("MAC") as string,
    });
  });

  it("when another agent's spawn-time secret is put under an agent: no generation is made", async () => {
    const [mine, theirs] = [acme.agent(), acme.agent()];
    const secrets = [{ name: "ONLY", plaintextValue: Buffer.from("theirs") }];
    await acme.owner.environments.storeSpawnSecrets({ agentId: theirs.agentId, secrets });
    await sql("update catalog.secret_versions set owner = $2 where tenant_id = $1", [mine.agentId]);
    await expect(acme.snapshot(mine)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  });

  it("when a planted generation is rolled back to", async () => {
    const agent = await agentWith({ A: "1" });
    await acme.set("A", "2");
    await acme.snapshot(agent);
    await sql(
      `update catalog.generations set set_id = (select set_id from catalog.generations
         where tenant_id = $1 and generation = 2) where tenant_id = $1 and generation = 1`,
    );
    await expect(acme.snapshot({ ...agent, rollbackToGeneration: 1n })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      metadata: { agent_id: agent.agentId },
    });
  });
});

describe("a key provider that is away", () => {
  it("refuses a generation as away, and gives it when it is back", async () => {
    const agent = await agentWith({ A: "1" });
    provider.isAway = true;
    try {
      expect(await acme.open(agent, 1n)).toBe("away");
    } finally {
      provider.isAway = false;
    }
    expect(await acme.values(agent, 1n)).toEqual({ A: "1" });
  });
});

describe("the look-up", () => {
  it("answers in the order of the question and opens nothing by itself", async () => {
    const agents = [acme.agent(), acme.agent()];
    await acme.set("A", "12345");
    await acme.snapshot(agents);
    const ids = [agents[1]!.agentId, randomUUID(), agents[0]!.agentId, agents[1]!.agentId];
    const refs = ids.map((agentId) => ({ agentId, generation: 1n }));
    const handles = await reader.opener.find(acme.id, acme.vm.id, refs);
    expect(handles.map(({ agentId }) => agentId)).toEqual(ids);
    expect(handles.map(({ sizeBytes }) => sizeBytes)).toEqual([6, 0, 6, 6]);
    const outcomes = await Promise.all(handles.map((handle) => handle.open()));
    expect(outcomes.map(({ kind }) => kind)).toEqual(["opened", "refused", "opened", "opened"]);
  });
});
