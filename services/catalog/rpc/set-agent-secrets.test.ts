import { randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";

let catalog: TestCatalog;
let acme: CatalogTenant;
beforeAll(async () => {
  catalog = await startCatalog();
  acme = await createCatalogTenant(catalog);
});
afterAll(() => catalog.stop());

const set = (agentId: string, values: Record<string, string>) =>
  acme.rotation.setAgentSecrets({
    agentId,
    secrets: Object.entries(values).map(([name, text]) => ({
      ...{ name, plaintextValue: Buffer.from(text) },
    })),
  });

describe("SetAgentSecrets", () => {
  it("gives an agent values of its own with its next generation, over all others", async () => {
    await acme.set("TOKEN", "of the tenant");
    const [agent, another] = [acme.agent(), acme.agent()];
    await acme.snapshot([agent, another]);
    await set(agent.agentId, { TOKEN: "own", SECRET: "s1" });
    expect(await acme.values(agent, 1n)).toEqual({ TOKEN: "of the tenant" });
    await acme.snapshot([agent, another]);
    expect(await acme.values(agent, 2n)).toEqual({ TOKEN: "own", SECRET: "s1" });
    expect(await acme.values(another, 2n)).toEqual({ TOKEN: "of the tenant" });
    await set(agent.agentId, { SECRET: "s2" });
    await acme.snapshot(agent);
    expect(await acme.values(agent, 3n)).toEqual({ TOKEN: "own", SECRET: "s2" });
    expect(await acme.values(agent, 2n)).toEqual({ TOKEN: "own", SECRET: "s1" });
  });

  it("gives new values to what it was spawned with, and a rollback brings none back", async () => {
    const agent = acme.agent({ expectsSpawnSecrets: true });
    const { agentId } = agent;
    const secrets = [{ name: "TOKEN_OF_SPAWN", plaintextValue: Buffer.from("first") }];
    await acme.owner.environments.storeSpawnSecrets({ agentId, secrets });
    await acme.snapshot(agent);
    await set(agentId, { TOKEN_OF_SPAWN: "second" });
    await acme.snapshot(agent);
    await acme.snapshot({ ...agent, rollbackToGeneration: 1n });
    for (const generation of [2n, 3n])
      expect(await acme.values(agent, generation)).toMatchObject({ TOKEN_OF_SPAWN: "second" });
  });

  it("keeps the last versions only, and none of an agent that is over", async () => {
    const agent = acme.agent();
    const { agentId } = agent;
    await acme.snapshot(agent);
    for (let n = 1; n <= 12; n++) await set(agentId, { TOKEN: `v${n}` });
    const count = async () => {
      const { rows } = await catalog.database.pool.query<{ n: bigint }>(
        "select count(*) as n from catalog.secret_versions where owner = $1",
        [agentId],
      );
      return rows[0]?.n;
    };
    expect(await count()).toBe(8n);
    await acme.snapshot(agent);
    expect(await acme.values(agent, 2n)).toMatchObject({ TOKEN: "v12" });
    const release = { agentId, floor: 2n, confirmed: 2n, ended: true };
    await acme.rotation.releaseGenerations({ releases: [release] });
    expect(await count()).toBe(0n);
    await expect(set(agentId, { TOKEN: "late" })).rejects.toMatchObject({
      ...{ code: "FAILED_PRECONDITION", reason: ErrorReason.ERROR_REASON_AGENT_ENDED },
    });
  });

  it("is refused for an agent that is not there, wrong names, nothing at all, and developers", async () => {
    const { agentId } = acme.agent();
    await expect(set(agentId, { TOKEN: "x" })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
    for (const values of [{}, { "not-a-name": "x" }, { MURMUR_X: "x" }, { PATH: "x" }])
      await expect(set(agentId, values)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(
      acme.owner.environments.setAgentSecrets({ agentId, secrets: [] }),
    ).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  it("touches no agent of another tenant", async () => {
    const globex = await createCatalogTenant(catalog);
    const agent = acme.agent({ agentId: randomUUID() });
    await acme.snapshot(agent);
    const secrets = [{ name: "TOKEN", plaintextValue: Buffer.from("theirs") }];
    const { agentId } = agent;
    await expect(globex.rotation.setAgentSecrets({ agentId, secrets })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
    await globex.snapshot(globex.agent({ agentId }));
    await globex.rotation.setAgentSecrets({ agentId, secrets });
    await acme.snapshot(agent);
    expect(Object.values(await acme.values(agent, 2n))).not.toContain("theirs");
  });
});
