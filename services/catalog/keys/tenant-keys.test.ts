import { randomUUID } from "node:crypto";
import { createTestDatabase, type TestDatabase } from "../../../test/harness/postgres";
import { createTestKeyProvider } from "../../../test/harness/key-provider";
import type { Clock } from "../../../lib/clock";
import { createPostgresKeyStore } from "../store/postgres-key-store";
import { WrappedKeyRefused } from "./key-provider";
import { createTenantKeys } from "./tenant-keys";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase("catalog");
});
afterAll(() => database.drop());

function setUp(cacheMs = 60_000) {
  let nowMs = 0;
  const clock: Clock = {
    now: () => new Date(nowMs),
    monotonicMs: () => nowMs,
    sleep: () => Promise.resolve(),
  };
  const provider = createTestKeyProvider();
  const store = createPostgresKeyStore(database.pool);
  const replica = () => createTenantKeys({ store, provider, cacheMs, clock });
  const advance = (ms: number) => (nowMs += ms);
  return { provider, replica, advance, tenantId: randomUUID() };
}

describe("data keys", () => {
  it("are one per tenant, whoever of many asks first", async () => {
    const { replica, tenantId } = setUp();
    const asked = await Promise.all(Array.from({ length: 20 }, () => replica().current(tenantId)));
    expect(new Set(asked.map(({ id }) => id)).size).toBe(1);
    expect(new Set(asked.map(({ key }) => key.expose().export().toString("hex"))).size).toBe(1);
  });

  it("differ between tenants", async () => {
    const { replica, tenantId } = setUp();
    const keys = replica();
    const [a, b] = [await keys.current(tenantId), await keys.current(randomUUID())];
    expect(a.key.expose().equals(b.key.expose())).toBe(false);
  });

  it("are unwrapped once for many callers, and again only when their time is over", async () => {
    const { replica, tenantId, provider, advance } = setUp(1_000);
    await replica().current(tenantId);
    const keys = replica();
    provider.calls = 0;
    const [{ id }] = await Promise.all([keys.current(tenantId), keys.current(tenantId)]);
    await keys.find(tenantId, id);
    expect(provider.calls).toBe(1);
    advance(999);
    await keys.current(tenantId);
    expect(provider.calls).toBe(1);
    advance(1);
    await keys.current(tenantId);
    expect(provider.calls).toBe(2);
  });

  it("serve while the provider is away, until their time is over; then UNAVAILABLE", async () => {
    const { replica, tenantId, provider, advance } = setUp(1_000);
    const keys = replica();
    const { id } = await keys.current(tenantId);
    provider.isAway = true;
    advance(999);
    expect((await keys.find(tenantId, id))?.id).toBe(id);
    advance(1);
    await expect(keys.current(tenantId)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    provider.isAway = false;
    expect((await keys.current(tenantId)).id).toBe(id);
  });

  it("are not made while the provider is away", async () => {
    const { replica, tenantId, provider } = setUp();
    provider.isAway = true;
    await expect(replica().current(tenantId)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const { rowCount } = await database.pool.query(
      "select 1 from catalog.data_keys where tenant_id = $1",
      [tenantId],
    );
    expect(rowCount).toBe(0);
  });

  it("of another tenant are not found by their id", async () => {
    const { replica, tenantId } = setUp();
    const { id } = await replica().current(tenantId);
    expect(await replica().find(randomUUID(), id)).toBeUndefined();
  });

  it("do not open in the row of another tenant", async () => {
    const { replica, tenantId } = setUp();
    const victim = randomUUID();
    await replica().current(tenantId);
    const { id } = await replica().current(victim);
    await database.pool.query(
      `update catalog.data_keys set wrapped = (
         select wrapped from catalog.data_keys where tenant_id = $1) where tenant_id = $2`,
      [tenantId, victim],
    );
    await expect(replica().find(victim, id)).rejects.toThrow(WrappedKeyRefused);
    await expect(replica().current(victim)).rejects.toThrow(WrappedKeyRefused);
  });
});
