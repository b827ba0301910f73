import { randomBytes, randomUUID } from "node:crypto";
import { unavailable } from "../../../lib/errors";
import { silentLog } from "../../../lib/log";
import { sensitive } from "../../../lib/sensitive";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";
import { eventually } from "../../../test/harness/eventually";
import { createTestKeyProvider, type TestKeyProvider } from "../../../test/harness/key-provider";
import { createTenantKeys } from "../keys/tenant-keys";
import { createPostgresKeyRotationStore } from "../store/postgres-key-rotation-store";
import { createPostgresKeyStore } from "../store/postgres-key-store";
import { createKeyRotations } from "./key-rotations";

let catalog: TestCatalog;
/** What the catalog under test wraps by; `rewrap` is what a test makes of it. */
let provider: TestKeyProvider;
let rewrap: TestKeyProvider["rewrap"];
let made = 0;

beforeAll(async () => {
  provider = createTestKeyProvider();
  const { rotate, rewrap: real } = provider;
  rewrap = real;
  provider.rotate = async () => {
    made += 1;
    return rotate();
  };
  provider.rewrap = (wrapped) => rewrap(wrapped);
  catalog = await startCatalog({ keyProvider: provider });
});
afterAll(() => catalog.stop());

let tenant: CatalogTenant;
beforeEach(async () => {
  tenant = await createCatalogTenant(catalog);
  await tenant.set("A", "1");
  made = 0;
});

const rotate = (rewrapOnly = false) =>
  tenant.owner.encryption.rotateKeyEncryptionKey({ rewrapOnly });
const show = () => tenant.owner.encryption.getEncryption({});
const wrappedKeys = async () => {
  const { rows } = await catalog.database.pool.query<{ wrapped: Buffer }>(
    "select wrapped from catalog.data_keys where tenant_id = $1 order by id",
    [tenant.id],
  );
  return rows.map(({ wrapped }) => wrapped);
};
/** Which key-encryption key it names. */
const keyOf = (wrapped: Buffer | undefined) => wrapped?.subarray(1, 37).toString();
/** The tenant's data key as a replica opens it that remembers none. */
const opened = async () => {
  const store = createPostgresKeyStore(catalog.database.pool);
  const { id, key } = await createTenantKeys({ store, provider, cacheMs: 0 }).current(tenant.id);
  return [id, key.expose().export().toString("hex")];
};
const later = (interval: string) =>
  catalog.database.pool.query(
    "update catalog.key_rotations set started_at = started_at - $2::interval where tenant_id = $1",
    [tenant.id, interval],
  );
/** As the clean-up of every replica does. */
const finishAbandoned = () => {
  const { pool } = catalog.database;
  const store = createPostgresKeyRotationStore(pool);
  return createKeyRotations({ pool, store, provider, log: silentLog }).finishAbandoned(10);
};

describe("rotating the key-encryption key", () => {
  it("wraps the same data key under a newer one, and secrets go on being read and written", async () => {
    const agent = tenant.agent();
    await tenant.snapshot(agent);
    const [before, wrapped] = [await opened(), await wrappedKeys()];
    const { rotation } = await rotate();
    expect(rotation).toMatchObject({
      ...{ number: 1n, requestedBy: "github/alice", madeKey: true, dataKeys: 1 },
      finishedAt: expect.any(Date) as Date,
    });
    const after = await wrappedKeys();
    expect(keyOf(after[0])).not.toBe(keyOf(wrapped[0]));
    expect(await opened()).toEqual(before);
    expect(await tenant.values(agent, 1n)).toMatchObject({ A: "1" });
    await tenant.set("A", "2");
    expect(await show()).toMatchObject({
      ...{ keyProvider: "local", dataKeys: 1, waitingDataKeys: 0 },
      lastRotation: { number: 1n, madeKey: true },
    });
  });

  it("is for owners", async () => {
    const admin = catalog.clients(catalog.developer({ tenantId: tenant.id, role: "admin" }));
    await expect(
      admin.encryption.rotateKeyEncryptionKey({ rewrapOnly: false }),
    ).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    expect(await admin.encryption.getEncryption({})).toMatchObject({ dataKeys: 1 });
    expect(made).toBe(0);
  });

  it("makes one key in an hour; wrapping again alone is always let through, and makes none", async () => {
    await rotate();
    await expect(rotate()).rejects.toMatchObject({
      ...{ code: "RESOURCE_EXHAUSTED", retryAfterMs: expect.any(Number) as number },
    });
    const [before] = await wrappedKeys();
    expect((await rotate(true)).rotation).toMatchObject({ number: 2n, madeKey: false });
    const [after] = await wrappedKeys();
    expect(after).not.toEqual(before);
    expect(keyOf(after)).toBe(keyOf(before));
    expect(made).toBe(1);
    await rotate(true);
    await later("1 hour");
    expect((await rotate()).rotation).toMatchObject({ number: 4n, madeKey: true });
  });

  it("that breaks off is gone on with, without another key, by the next call or by itself", async () => {
    for (const finish of [() => rotate(), () => later("1 minute").then(finishAbandoned)]) {
      made = 0;
      await later("1 hour");
      const before = await wrappedKeys();
      const real = rewrap;
      rewrap = () => Promise.reject(unavailable("the key provider is away"));
      await expect(rotate()).rejects.toMatchObject({ code: "UNAVAILABLE" });
      rewrap = real;
      expect(await show()).toMatchObject({ waitingDataKeys: 1, lastRotation: { dataKeys: 0 } });
      expect((await show()).lastRotation?.finishedAt).toBeUndefined();
      expect(await wrappedKeys()).toEqual(before);
      await finish();
      const { waitingDataKeys, lastRotation } = await show();
      expect(waitingDataKeys).toBe(0);
      expect(lastRotation?.finishedAt).toBeInstanceOf(Date);
      expect(keyOf((await wrappedKeys())[0])).not.toBe(keyOf(before[0]));
      expect(made).toBe(1);
    }
  });

  it("that runs is not taken for one that was broken off", async () => {
    await rotate();
    await catalog.database.pool.query(
      "update catalog.key_rotations set finished_at = null where tenant_id = $1",
      [tenant.id],
    );
    expect(await finishAbandoned()).toBe(0);
    await later("1 minute");
    expect(await finishAbandoned()).toBe(1);
  });

  it("asked for twice at once is one", async () => {
    const answers = await Promise.all([rotate(), rotate(), rotate()].map((it) => it.catch(codeOf)));
    const numbers = answers.flatMap((it) => (typeof it === "string" ? [] : [it.rotation?.number]));
    expect(new Set(numbers)).toEqual(new Set([1n]));
    expect(made).toBe(1);
  });

  it("wraps any number of data keys, in bounded steps", async () => {
    const wrapped = await Promise.all(
      Array.from({ length: 250 }, () => provider.wrap(sensitive(randomBytes(64)))),
    );
    await catalog.database.pool.query(
      `insert into catalog.data_keys (tenant_id, id, wrapped, is_current)
       select $1, id, wrapped, false from unnest($2::uuid[], $3::bytea[]) as k (id, wrapped)`,
      [tenant.id, wrapped.map(() => randomUUID()), wrapped],
    );
    const sizes: number[] = [];
    const real = rewrap;
    rewrap = (some) => {
      sizes.push(some.length);
      return real(some);
    };
    const { rotation } = await rotate().finally(() => (rewrap = real));
    expect(rotation?.dataKeys).toBe(251);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(100);
    const keys = new Set((await wrappedKeys()).map(keyOf));
    expect(keys.size).toBe(1);
    expect(keys.has(keyOf(wrapped[0]))).toBe(false);
  });

  it("puts nothing in the place of a data key that does not open as the same", async () => {
    const before = await wrappedKeys();
    const real = rewrap;
    rewrap = async (some) => Promise.all(some.map(() => provider.wrap(sensitive(randomBytes(64)))));
    await expect(rotate().finally(() => (rewrap = real))).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
    expect(await wrappedKeys()).toEqual(before);
    await rotate();
  });

  it("comes to its end beside a data key that does not open, and the next one begins", async () => {
    const before = await wrappedKeys();
    await catalog.database.pool.query(
      `insert into catalog.data_keys (tenant_id, id, wrapped, is_current)
       values ($1, gen_random_uuid(), 'damaged', false)`,
      [tenant.id],
    );
    const refused = {
      code: "FAILED_PRECONDITION",
      message: expect.stringContaining("does not open") as string,
    };
    await expect(rotate()).rejects.toMatchObject(refused);
    expect(await show()).toMatchObject({
      ...{ dataKeys: 2, waitingDataKeys: 0 },
      lastRotation: { number: 1n, dataKeys: 1, damagedDataKeys: 1 },
    });
    expect((await show()).lastRotation?.finishedAt).toBeInstanceOf(Date);
    const under = async () => new Set((await wrappedKeys()).map(keyOf));
    expect((await under()).has(keyOf(before[0]))).toBe(false);
    await later("1 hour");
    await expect(rotate()).rejects.toMatchObject(refused);
    expect(await show()).toMatchObject({ lastRotation: { number: 2n, dataKeys: 1 } });
    expect(made).toBe(2);
    expect(await finishAbandoned()).toBe(0);
  });

  it("holds up no other tenant's while Vault takes its time", async () => {
    const { pool } = catalog.database;
    const store = createPostgresKeyRotationStore(pool);
    let answer: () => void = () => undefined;
    let isAsked = false;
    const slow = new Promise<void>((resolve) => (answer = resolve));
    const vault = { ...provider, name: "vault-transit" as const };
    const waiting = () => {
      isAsked = true;
      return slow;
    };
    const by = (tenantId: string) =>
      ({ tenantId, kind: "developer", id: "github/alice", peer: "" }) as const;
    const make = (rotateKey: () => Promise<void>) =>
      createKeyRotations({
        pool,
        store,
        provider: { ...vault, rotate: rotateKey },
        log: silentLog,
      });
    const first = make(waiting).rotate(by(tenant.id), { rewrapOnly: false });
    await eventually(() => {
      expect(isAsked).toBe(true);
    });
    const other = await createCatalogTenant(catalog);
    await other.set("A", "1");
    const second = await make(() => Promise.resolve()).rotate(by(other.id), { rewrapOnly: false });
    expect(second).toMatchObject({ number: 1n, dataKeys: 1 });
    answer();
    expect(await first).toMatchObject({ number: 1n, dataKeys: 1 });
  });

  it("is audited: asked for by whom, and done", async () => {
    await rotate();
    const { rows } = await catalog.database.pool.query(
      `select action, actor_kind, actor_id, detail from catalog.audit
       where tenant_id = $1 and object_kind = 'key-rotation' order by id`,
      [tenant.id],
    );
    expect(rows).toEqual([
      {
        ...{ action: "encryption.rotate", actor_kind: "developer", actor_id: "github/alice" },
        detail: { key_provider: "local", made_key: true },
      },
      {
        ...{ action: "encryption.rewrap", actor_kind: "service", actor_id: "catalog" },
        detail: { data_keys: 1 },
      },
    ]);
  });
});

function codeOf(error: unknown): string {
  return (error as { code: string }).code;
}
