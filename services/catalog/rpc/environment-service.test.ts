import { randomUUID } from "node:crypto";
import { SecretDelivery } from "../../../gen/murmur/catalog/v1/secrets";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";
import { cleanUpOnce } from "../environments/clean-up";
import { createPostgresExpiryStore } from "../store/postgres-expiry-store";

let catalog: TestCatalog;
let acme: CatalogTenant;
beforeAll(async () => {
  catalog = await startCatalog();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
});
afterAll(() => catalog.stop());

const sql = (text: string, params: unknown[] = []) =>
  catalog.database.pool.query<{ count: bigint }>(text, [acme.id, ...params]);
const count = async (what: string) =>
  Number((await sql(`select count(*) from catalog.${what} and tenant_id = $1`)).rows[0]!.count);
const store = (agentId: string, values: Record<string, string>) =>
  acme.owner.environments.storeSpawnSecrets({
    agentId,
    secrets: Object.entries(values).map(([name, value]) => ({
      name,
      plaintextValue: Buffer.from(value),
    })),
  });
const release = (
  agentId: string,
  fields: { floor?: bigint; confirmed?: bigint; ended?: boolean },
) =>
  acme.rotation.releaseGenerations({
    releases: [{ agentId, floor: 0n, confirmed: 0n, ended: false, ...fields }],
  });
const cleanUp = () => cleanUpOnce(createPostgresExpiryStore(catalog.database.pool));
/** Makes everything of the tenant look so much older. */
const age = async (interval: string) => {
  await sql(
    `update catalog.agents set lease_expires_at = lease_expires_at - $2::interval,
    updated_at = updated_at - $2::interval where tenant_id = $1`,
    [interval],
  );
  for (const table of ["generations", "environment_sets"])
    await sql(
      `update catalog.${table} set created_at = created_at - $2::interval
      where tenant_id = $1`,
      [interval],
    );
};

describe("StoreSpawnSecrets", () => {
  it("keeps values for one agent only, for 10 minutes, and they win over tenant secrets", async () => {
    await acme.set("A", "tenant");
    const [mine, other] = [acme.agent(), acme.agent()];
    const { leaseExpiresAt } = await store(mine.agentId, { A: "mine", GH_TOKEN: "gh" });
    const leftMs = leaseExpiresAt!.getTime() - Date.now();
    expect(leftMs).toBeGreaterThan(9 * 60_000);
    expect(leftMs).toBeLessThan(11 * 60_000);
    await acme.snapshot([mine, other]);
    expect(await acme.values(mine, 1n)).toEqual({ A: "mine", GH_TOKEN: "gh" });
    expect(await acme.values(other, 1n)).toEqual({ A: "tenant" });
  });

  it("replaces the values until the first snapshot, then refuses", async () => {
    const agent = acme.agent();
    await store(agent.agentId, { A: "1", B: "1" });
    await store(agent.agentId, { A: "2" });
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({ A: "2" });
    await expect(store(agent.agentId, { A: "3" })).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
      reason: ErrorReason.ERROR_REASON_AGENT_EXISTS,
    });
    await acme.snapshot(agent);
    expect(await acme.values(agent, 2n)).toEqual({ A: "2" });
  });

  it("takes the variable of an earlier scope's file", async () => {
    await acme.owner.secrets.setSecret(
      acme.write({ name: "CERT", delivery: SecretDelivery.SECRET_DELIVERY_FILE }),
    );
    const agent = acme.agent();
    await store(agent.agentId, { CERT_FILE: "/own/path" });
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({ CERT_FILE: "/own/path" });
  });

  it("may be called by a VM, for a child that it is about to spawn", async () => {
    const vm = catalog.clients(acme.vm.credentials);
    const agent = acme.agent({ developer: "github/bob" });
    const secrets = [{ name: "A", plaintextValue: Buffer.from("by the VM") }];
    await vm.environments.storeSpawnSecrets({ agentId: agent.agentId, secrets });
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({ A: "by the VM" });
  });

  it("lets nobody else replace what somebody stored, neither a developer nor a VM", async () => {
    const bob = { tenantId: acme.id, id: "github/bob", role: "member" } as const;
    const clients = [catalog.developer(bob), acme.vm.credentials].map((who) =>
      catalog.clients(who),
    );
    const agent = acme.agent();
    const { agentId } = agent;
    await store(agentId, { A: "mine" });
    const secrets = [{ name: "A", plaintextValue: Buffer.from("theirs") }];
    for (const { environments } of clients)
      await expect(environments.storeSpawnSecrets({ agentId, secrets })).rejects.toMatchObject({
        code: "ALREADY_EXISTS",
        reason: ErrorReason.ERROR_REASON_AGENT_EXISTS,
        message: `spawn-time secrets of agent "${agentId}" were stored by somebody else`,
      });
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({ A: "mine" });
  });

  it.each([
    ["a developer, for another's agent", "developer", { developer: "github/bob" }],
    ["a VM, for an agent elsewhere", "vm", { vmId: "other" }],
  ] as const)("gives an agent nothing that was stored by %s", async (_who, kind, wish) => {
    const other = await catalog.joinVm(acme.id, "vm-2");
    const agent = acme.agent("vmId" in wish ? { vmId: other.id } : wish);
    const { agentId } = agent;
    const secrets = [{ name: "A", plaintextValue: Buffer.from("planted") }];
    const storer = kind === "vm" ? catalog.clients(acme.vm.credentials) : acme.owner;
    await storer.environments.storeSpawnSecrets({ agentId, secrets });
    const path = "parent/child";
    await expect(acme.snapshot({ ...agent, path })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: ErrorReason.ERROR_REASON_TAMPERED,
      message: 'spawn-time secrets of agent "parent/child" were stored by somebody else',
    });
    expect(await count("generations where true")).toBe(0);
  });

  it("leaves no agent without them: after the lease there is no generation, and it says why", async () => {
    const agent = acme.agent({ expectsSpawnSecrets: true, path: "parent/child" });
    await store(agent.agentId, { A: "mine" });
    await age("11 minutes");
    await cleanUp();
    const whole = acme.snapshot([acme.agent(), agent]);
    await expect(whole).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: ErrorReason.ERROR_REASON_SPAWN_SECRETS_GONE,
      message: 'spawn-time secrets of agent "parent/child" are gone: spawn it again',
      metadata: { agent_id: agent.agentId },
    });
    expect(await count("generations where true")).toBe(0);
  });

  it("are found in every generation of an agent that expects them", async () => {
    const agent = acme.agent({ expectsSpawnSecrets: true });
    await store(agent.agentId, { A: "mine" });
    await acme.snapshot(agent);
    await age("11 minutes");
    await cleanUp();
    await acme.snapshot(agent);
    expect(await acme.values(agent, 2n)).toEqual({ A: "mine" });
  });

  it("keeps values sealed, and names in the audit", async () => {
    const agent = acme.agent();
    await store(agent.agentId, { A: "marked-value-9d2e" });
    const { rows } = await catalog.database.pool.query<{ row: string }>(
      `select v::text as row from catalog.secret_versions v union all
       select a::text from catalog.audit a`,
    );
    const hex = Buffer.from("marked-value-9d2e").toString("hex");
    expect(rows.some(({ row }) => row.includes("marked-value-9d2e") || row.includes(hex))).toBe(
      false,
    );
    const audit = await sql(
      `select actor_id, object_id, detail from catalog.audit
       where tenant_id = $1 and action = 'spawn-secrets.store'`,
    );
    expect(audit.rows).toEqual([
      { actor_id: "github/alice", object_id: agent.agentId, detail: { names: ["A"] } },
    ]);
  });

  it("refuses names and values as for secrets, and lists every field", async () => {
    await expect(store("no-uuid", { foo: "", LD_PRELOAD: "x" })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [
        "agent_id",
        "secrets[0].name",
        "secrets[0].plaintext_value",
        "secrets[1].name",
      ].map((field) => ({ field, description: expect.any(String) as string })),
    });
    const twice = [1, 2].map(() => ({ name: "A", plaintextValue: Buffer.from("x") }));
    const request = { agentId: randomUUID(), secrets: twice };
    await expect(acme.owner.environments.storeSpawnSecrets(request)).rejects.toMatchObject({
      metadata: { field: "secrets[1].name" },
    });
  });
});

describe("ReleaseGenerations", () => {
  it("refuses what is below the floor at once, and never lowers it", async () => {
    const agent = acme.agent();
    for (const value of ["1", "2", "3"]) {
      await acme.set("A", value);
      await acme.snapshot(agent);
    }
    await release(agent.agentId, { floor: 2n });
    await release(agent.agentId, { floor: 1n });
    expect(await acme.open(agent, 1n)).toBe("not-available");
    expect(await acme.open(agent, 2n)).toMatchObject({ floor: 2n });
    expect(await count("generations where true")).toBe(2);
  });

  it("never releases the newest generation, whatever floor it is told", async () => {
    const agent = acme.agent();
    await acme.snapshot(agent);
    await release(agent.agentId, { floor: 99n });
    expect(await acme.open(agent, 1n)).toMatchObject({ generation: 1n });
  });

  it("ends everything of an agent that is over, its spawn-time secrets included", async () => {
    const agent = acme.agent();
    await store(agent.agentId, { A: "1" });
    await acme.snapshot(agent);
    await release(agent.agentId, { ended: true });
    await release(agent.agentId, { ended: true });
    expect(await acme.open(agent, 1n)).toBe("not-available");
    expect(await count("generations where true")).toBe(0);
    expect(await count("secret_versions where kind = 'spawn'")).toBe(0);
    await expect(store(agent.agentId, { A: "1" })).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
    });
  });

  it("passes over agents that it does not know, and those of other tenants", async () => {
    const agent = acme.agent();
    await acme.snapshot(agent);
    const other = await createCatalogTenant(catalog);
    const releases = [{ agentId: agent.agentId, floor: 1n, confirmed: 1n, ended: true }];
    await other.rotation.releaseGenerations({ releases });
    await release(randomUUID(), { floor: 5n, ended: true });
    expect(await acme.open(agent, 1n)).toMatchObject({ generation: 1n });
    expect(await acme.rotation.releaseGenerations({ releases: [] })).toEqual({});
  });

  it("refuses what is malformed and names each field", async () => {
    const agentId = randomUUID();
    const fields = { floor: -1n, confirmed: -1n, ended: false };
    const releases = [
      { agentId: "x", ...fields },
      { agentId, floor: 0n, confirmed: 0n, ended: false },
      { agentId, floor: 0n, confirmed: 0n, ended: false },
    ];
    await expect(acme.rotation.releaseGenerations({ releases })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [
        "releases[0].agent_id",
        "releases[0].floor",
        "releases[0].confirmed",
        "releases[2].agent_id",
      ].map((field) => ({ field, description: expect.any(String) as string })),
    });
  });
});

describe("what nobody needs any more", () => {
  it("goes when a lease ends before the agent's first snapshot, and not after it", async () => {
    const [never, spawned] = [acme.agent(), acme.agent()];
    for (const { agentId } of [never, spawned]) await store(agentId, { A: "1" });
    await acme.snapshot(spawned);
    await age("11 minutes");
    await cleanUp();
    expect(await count(`agents where agent_id = '${never.agentId}'`)).toBe(0);
    expect(await count("secret_versions where kind = 'spawn'")).toBe(1);
    expect(await acme.values(spawned, 1n)).toEqual({ A: "1" });
  });

  it("goes when a generation was not confirmed within an hour, and its set with it", async () => {
    const [confirmed, forgotten] = [acme.agent(), acme.agent()];
    await acme.set("A", "1");
    await acme.snapshot(confirmed);
    await release(confirmed.agentId, { confirmed: 1n });
    await acme.set("A", "2");
    await acme.snapshot(forgotten);
    await age("59 minutes");
    await cleanUp();
    expect(await acme.values(forgotten, 1n)).toEqual({ A: "2" });
    await age("2 minutes");
    await cleanUp();
    expect(await acme.open(forgotten, 1n)).toBe("not-available");
    expect(await acme.values(confirmed, 1n)).toEqual({ A: "1" });
    const [snapshot] = (await acme.snapshot(forgotten)).snapshots;
    expect(snapshot!.generation).toBe(2n);
    expect(await acme.values(forgotten, 2n)).toEqual({ A: "2" });
  });

  it("goes with the sets that no generation has any more, while new ones are made", async () => {
    const agent = acme.agent();
    for (const value of ["1", "2", "3"]) {
      await acme.set("A", value);
      await acme.snapshot(agent);
    }
    await release(agent.agentId, { floor: 3n, confirmed: 3n });
    await age("2 hours");
    await Promise.all([cleanUp(), acme.snapshot(acme.agent()), cleanUp()]);
    expect(await count("environment_sets where true")).toBe(1);
    expect(await acme.values(agent, 3n)).toEqual({ A: "3" });
  });

  it("goes with agents that ended a week ago", async () => {
    const [ended, living] = [acme.agent(), acme.agent()];
    await acme.snapshot([ended, living]);
    await release(ended.agentId, { ended: true });
    await release(living.agentId, { confirmed: 1n });
    await age("6 days");
    await cleanUp();
    expect(await count("agents where true")).toBe(2);
    await age("2 days");
    await cleanUp();
    expect(await count("agents where true")).toBe(1);
    expect(await acme.open(living, 1n)).toMatchObject({ generation: 1n });
  });

  it("goes with answers whose time is over", async () => {
    await acme.snapshot(acme.agent(), "r-1");
    await acme.snapshot(acme.agent(), "r-2");
    await sql(
      "update catalog.requests set expires_at = now() where request_id = 'r-1' and tenant_id = $1",
    );
    await cleanUp();
    expect(await count("requests where true")).toBe(1);
  });
});
