import { isServing } from "../../dev/stack/health";
import { sensitive } from "../../lib/sensitive";
import { startCatalog, type TestCatalog } from "../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../test/harness/catalog-tenant";
import { eventually } from "../../test/harness/eventually";
import { createTestKeyProvider } from "../../test/harness/key-provider";
import { createTestDatabase, type TestDatabase } from "../../test/harness/postgres";
import { startTcpProxy, type TcpProxy } from "../../test/harness/tcp-proxy";

const AWAY = { code: "UNAVAILABLE", retryAfterMs: expect.any(Number) as number };

describe("while PostgreSQL is away", () => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let catalog: TestCatalog;
  let acme: CatalogTenant;
  const provider = createTestKeyProvider();

  beforeAll(async () => {
    database = await createTestDatabase("catalog");
    const url = new URL(database.url.expose());
    proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
    url.hostname = "127.0.0.1";
    url.port = String(proxy.port);
    catalog = await startCatalog({
      database,
      keyProvider: provider,
      databaseUrl: sensitive(url.href),
      timeoutMs: 1_000,
    });
    acme = await createCatalogTenant(catalog);
  });
  afterAll(async () => {
    proxy.heal();
    await catalog.stop();
    await proxy.close();
    await database.drop();
  });

  it.each<[string, (proxy: TcpProxy) => void]>([
    ["cut", (way) => way.cut()],
    ["frozen", (way) => way.freeze()],
  ])(
    "(%s) every call fails with the time of a retry, and works again by itself",
    async (_how, fail) => {
      const agent = acme.agent();
      await acme.set("A", "before");
      await acme.snapshot(agent);
      fail(proxy);
      const { secrets, workspaces, environments, vms } = acme.owner;
      const secret = [{ name: "E", plaintextValue: Buffer.from("1") }];
      const workspace = { name: "w", secretRefs: undefined, vms: [] };
      const page = { pageSize: 0, pageToken: "" };
      const release = { agentId: agent.agentId, floor: 1n, confirmed: 1n, ended: true };
      const calls = [
        acme.set("A", "lost"),
        secrets.getSecret({ name: "A" }),
        secrets.listSecrets(page),
        secrets.deleteSecret({ name: "A" }),
        secrets.listSecretVersions({ name: "A", ...page }),
        workspaces.setWorkspace(workspace),
        workspaces.getWorkspace({ name: "backend" }),
        workspaces.listWorkspaces(page),
        workspaces.deleteWorkspace({ name: "backend" }),
        environments.storeSpawnSecrets({ agentId: acme.agent().agentId, secrets: secret }),
        acme.snapshot(agent),
        acme.rotation.releaseGenerations({ releases: [release] }),
        vms.listVms({ ...page }),
      ];
      // One that only its caller's deadline ends says DEADLINE_EXCEEDED.
      const outcomes = await Promise.allSettled(calls);
      for (const outcome of outcomes)
        expect(outcome).toMatchObject({ status: "rejected", reason: AWAY });
      await eventually(async () => {
        expect(await isServing(catalog.address)).toBe(false);
      });
      proxy.heal();
      await eventually(async () => {
        expect(await isServing(catalog.address)).toBe(true);
      });
      const { secret: now } = await eventually(() => secrets.getSecret({ name: "A" }));
      const { snapshots } = await acme.snapshot(agent);
      expect(snapshots[0]).toMatchObject({ generation: 2n, unchanged: true });
      expect((await acme.set("A", "after")).version).toBe(now!.version + 1n);
      const { rows } = await database.pool.query(
        `select 1 from catalog.secret_versions where tenant_id = $1 and written_at is null`,
        [acme.id],
      );
      expect(rows).toEqual([]);
    },
  );
});

describe("while the key provider is away", () => {
  it("what remembered keys serve works on, the rest is UNAVAILABLE and stores nothing", async () => {
    const provider = createTestKeyProvider();
    const catalog = await startCatalog({ keyProvider: provider });
    try {
      const acme = await createCatalogTenant(catalog);
      await acme.set("A", "1");
      await eventually(async () => {
        expect(await isServing(catalog.address)).toBe(true);
      });
      provider.isAway = true;
      expect((await acme.set("A", "2")).version).toBe(2n);
      await acme.snapshot(acme.agent());
      const cold = catalog.clients(catalog.developer({ tenantId: "cold" })).secrets;
      await expect(cold.setSecret(acme.write({ name: "A" }))).rejects.toMatchObject(AWAY);
      await expect(cold.getSecret({ name: "A" })).rejects.toMatchObject({ code: "NOT_FOUND" });
      await eventually(async () => {
        expect(await isServing(catalog.address)).toBe(true);
      });
      provider.isAway = false;
      expect((await cold.setSecret(acme.write({ name: "A" }))).secret!.version).toBe(1n);
    } finally {
      await catalog.stop();
    }
  });

  it("at the start, the service starts and says that it cannot do its job yet", async () => {
    const provider = createTestKeyProvider();
    provider.isAway = true;
    const catalog = await startCatalog({ keyProvider: provider });
    try {
      expect(await isServing(catalog.address)).toBe(false);
      provider.isAway = false;
      await eventually(async () => {
        expect(await isServing(catalog.address)).toBe(true);
      });
    } finally {
      await catalog.stop();
    }
  });

  it("a wrong key provider ends the run, as nothing good can come of it", async () => {
    const first = await startCatalog();
    const { database, rotationKey, catalogKey } = first;
    await first.catalog.checkKeys();
    const keyProvider = createTestKeyProvider();
    const beside = { database, rotationKey, catalogKey, keyProvider };
    const second = await startCatalog({ beside });
    await expect(second.running).rejects.toThrow("does not belong to this database");
    await second.stop().catch(() => undefined);
    await first.stop();
  });
});

describe("data keys", () => {
  it("cost the key provider one call for a thousand secret operations", async () => {
    const provider = createTestKeyProvider();
    const catalog = await startCatalog({ keyProvider: provider });
    try {
      const acme = await createCatalogTenant(catalog);
      await acme.set("A", "warm");
      provider.calls = 0;
      for (let round = 0; round < 50; round++)
        await Promise.all(Array.from({ length: 20 }, (_, n) => acme.set(`S_${n}`, "v")));
      expect(provider.calls).toBeLessThanOrEqual(1);
    } finally {
      await catalog.stop();
    }
  }, 120_000);
});
