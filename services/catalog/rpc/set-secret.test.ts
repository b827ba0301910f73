import { SecretDelivery } from "../../../gen/murmur/catalog/v1/secrets";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";

const { SECRET_DELIVERY_ENVIRONMENT, SECRET_DELIVERY_FILE } = SecretDelivery;

let catalog: TestCatalog;
let acme: CatalogTenant;
beforeAll(async () => {
  catalog = await startCatalog();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
});
afterAll(() => catalog.stop());

const set = async (fields: Parameters<CatalogTenant["write"]>[0]) =>
  (await acme.owner.secrets.setSecret(acme.write(fields))).secret!;
const count = async (sql: string) => {
  const { rows } = await catalog.database.pool.query<{ count: bigint }>(
    `select count(*) from catalog.${sql}`,
    [acme.id],
  );
  return Number(rows[0]!.count);
};

describe("SetSecret", () => {
  it("creates a secret and tells what is kept of it", async () => {
    const beforeMs = Date.now() - 1_000;
    const secret = await set({ name: "A", description: "first", createdAt: new Date(0) });
    expect(secret).toMatchObject({
      name: "A",
      version: 1n,
      description: "first",
      updatedBy: "github/alice",
      delivery: SECRET_DELIVERY_ENVIRONMENT,
    });
    expect(secret.createdAt).toEqual(secret.updatedAt);
    expect(secret.createdAt!.getTime()).toBeGreaterThan(beforeMs);
  });

  it("makes every write a version and keeps created_at", async () => {
    const first = await set({ name: "A" });
    const second = await set({ name: "A" });
    expect(second.version).toBe(2n);
    expect(second.createdAt).toEqual(first.createdAt);
    expect(second.updatedAt!.getTime()).toBeGreaterThanOrEqual(first.updatedAt!.getTime());
  });

  it("keeps the description without one, and clears it with an empty one", async () => {
    await set({ name: "A", description: "kept" });
    expect((await set({ name: "A" })).description).toBe("kept");
    expect((await set({ name: "A", description: "" })).description).toBeUndefined();
    expect((await set({ name: "B", description: "" })).description).toBeUndefined();
  });

  it("continues the version numbers of a name that is created again, with a new created_at", async () => {
    const first = await set({ name: "A", description: "old", delivery: SECRET_DELIVERY_FILE });
    await acme.owner.secrets.deleteSecret({ name: "A" });
    const again = await set({ name: "A" });
    expect(again).toMatchObject({ version: 3n, delivery: SECRET_DELIVERY_ENVIRONMENT });
    expect(again.description).toBeUndefined();
    expect(again.createdAt!.getTime()).toBeGreaterThan(first.createdAt!.getTime());
  });

  it("keeps values in no table but sealed", async () => {
    const marker = "marked-value-5f1c";
    await set({ name: "A", plaintextValue: Buffer.from(marker), requestId: "r-1" });
    const { rows } = await catalog.database.pool.query<{ row: string }>(
      `select s::text as row from catalog.secrets s union all
       select v::text from catalog.secret_versions v union all
       select r::text from catalog.requests r union all select a::text from catalog.audit a`,
    );
    const hex = Buffer.from(marker).toString("hex");
    expect(rows.filter(({ row }) => row.includes(marker) || row.includes(hex))).toEqual([]);
    const weak = rows.filter(({ row }) => row.includes(Buffer.from("v").toString("base64")));
    expect(weak).toEqual([]);
  });

  it("records who wrote which version from where, and no value", async () => {
    await set({ name: "A" });
    const { rows } = await catalog.database.pool.query(
      `select actor_kind, actor_id, action, object_kind, object_id, outcome, detail, peer <> '' as has_peer
       from catalog.audit where tenant_id = $1 and action = 'secret.set'`,
      [acme.id],
    );
    expect(rows).toEqual([
      {
        actor_kind: "developer",
        actor_id: "github/alice",
        action: "secret.set",
        object_kind: "secret",
        object_id: "A",
        outcome: "ok",
        detail: { version: 1 },
        has_peer: true,
      },
    ]);
  });

  it("refuses a bad write with the first message and all violations, and writes nothing", async () => {
    const write = set({ name: "foo", plaintextValue: Buffer.alloc(0) });
    await expect(write).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: 'secret name "foo" must match [A-Z][A-Z0-9_]*',
      violations: [
        { field: "name", description: 'secret name "foo" must match [A-Z][A-Z0-9_]*' },
        { field: "plaintext_value", description: "plaintext_value is required" },
      ],
    });
    expect(await count("secrets where tenant_id = $1")).toBe(0);
  });

  it("answers a name of a megabyte with a short error", async () => {
    await expect(set({ name: "x".repeat(1_000_000) })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});

describe("SetSecret with an expected version", () => {
  it("writes when it is the current one, 0 standing for none", async () => {
    expect((await set({ name: "A", expectedVersion: 0n })).version).toBe(1n);
    expect((await set({ name: "A", expectedVersion: 1n })).version).toBe(2n);
    await acme.owner.secrets.deleteSecret({ name: "A" });
    expect((await set({ name: "A", expectedVersion: 0n })).version).toBe(4n);
  });

  it.each([
    ["a name that does not exist", undefined, 1n, "0"],
    ["a version that was replaced", 2, 1n, "2"],
    ["a name that exists", 1, 0n, "1"],
  ])("refuses %s with ABORTED and tells the version", async (_what, writes, expected, version) => {
    for (let write = 0; write < (writes ?? 0); write++) await set({ name: "A" });
    await expect(set({ name: "A", expectedVersion: expected })).rejects.toMatchObject({
      code: "ABORTED",
      reason: ErrorReason.ERROR_REASON_SECRET_VERSION_CONFLICT,
      metadata: { name: "A", version },
    });
    expect(await count("secret_versions where tenant_id = $1")).toBe(writes ?? 0);
  });

  it("lets one of many win that expect the same", async () => {
    for (const expectedVersion of [0n, 1n]) {
      const writes = Array.from({ length: 10 }, () => set({ name: "A", expectedVersion }));
      const outcomes = await Promise.allSettled(writes);
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    }
    expect(await count("secret_versions where tenant_id = $1")).toBe(2);
  });

  it("numbers writes that come at once without a gap or a double", async () => {
    const written = await Promise.all(Array.from({ length: 30 }, () => set({ name: "A" })));
    const versions = written.map(({ version }) => Number(version)).sort((a, b) => a - b);
    expect(versions).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  });
});

describe("SetSecret with a request id", () => {
  const request = { name: "A", requestId: "once", plaintextValue: Buffer.from("one") };

  it("gives the first answer again and writes one version", async () => {
    const first = await set({ ...request, description: "d" });
    await set({ name: "A" });
    expect(await set({ ...request, description: "d" })).toEqual(first);
    expect(await count("secret_versions where tenant_id = $1")).toBe(2);
    expect(await count("audit where tenant_id = $1 and action = 'secret.set'")).toBe(2);
  });

  it("writes one version for many calls at once", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => set(request)));
    expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([1n]));
    expect(await count("secret_versions where tenant_id = $1")).toBe(1);
  });

  it("is told of the first answer also when the expected version has passed since", async () => {
    await set({ ...request, expectedVersion: 0n });
    expect((await set({ ...request, expectedVersion: 0n })).version).toBe(1n);
  });

  it.each([
    ["value", { plaintextValue: Buffer.from("two") }],
    ["name", { name: "B" }],
    ["description", { description: "" }],
    ["delivery", { delivery: SECRET_DELIVERY_ENVIRONMENT }],
    ["expected version", { expectedVersion: 1n }],
  ])("is refused with another %s, and nothing is written", async (_what, other) => {
    await set(request);
    await expect(set({ ...request, ...other })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
      violations: [{ field: "request_id", description: expect.any(String) as string }],
    });
    expect(await count("secret_versions where tenant_id = $1")).toBe(1);
  });

  it("may use the id again when 10 minutes are over", async () => {
    await set(request);
    await catalog.database.pool.query(
      `update catalog.requests set expires_at = expires_at - interval '10 minutes'
       where tenant_id = $1`,
      [acme.id],
    );
    expect((await set({ ...request, plaintextValue: Buffer.from("two") })).version).toBe(2n);
    expect((await set({ ...request, plaintextValue: Buffer.from("two") })).version).toBe(2n);
  });

  it("is apart from the ids of other people and other tenants", async () => {
    await set(request);
    const bob = catalog.clients(catalog.developer({ tenantId: acme.id, id: "github/bob" }));
    const { secret } = await bob.secrets.setSecret(acme.write(request));
    expect(secret).toMatchObject({ version: 2n, updatedBy: "github/bob" });
    const other = await createCatalogTenant(catalog);
    expect((await other.owner.secrets.setSecret(other.write(request))).secret!.version).toBe(1n);
  });
});

describe("SetSecret and delivery", () => {
  const binary = Buffer.from([0xff, 0xfe, 0x01]);

  it("keeps the delivery until another is asked for", async () => {
    await set({ name: "A", delivery: SECRET_DELIVERY_FILE });
    expect((await set({ name: "A" })).delivery).toBe(SECRET_DELIVERY_FILE);
    const changed = await set({ name: "A", delivery: SECRET_DELIVERY_ENVIRONMENT });
    expect(changed.delivery).toBe(SECRET_DELIVERY_ENVIRONMENT);
  });

  it("takes bytes that are not UTF-8 for a file only", async () => {
    const refused = {
      code: "INVALID_ARGUMENT",
      reason: ErrorReason.ERROR_REASON_VALUE_NOT_ENVIRONMENT,
      metadata: { name: "A" },
    };
    const bytes = { name: "A", plaintextValue: binary };
    await expect(set(bytes)).rejects.toMatchObject(refused);
    const asVariable = { ...bytes, delivery: SECRET_DELIVERY_ENVIRONMENT };
    await expect(set(asVariable)).rejects.toMatchObject(refused);
    expect((await set({ ...bytes, delivery: SECRET_DELIVERY_FILE })).version).toBe(1n);
    expect((await set(bytes)).version).toBe(2n);
    await expect(set(asVariable)).rejects.toMatchObject(refused);
    await acme.owner.secrets.deleteSecret({ name: "A" });
    await expect(set(bytes)).rejects.toMatchObject(refused);
  });

  it("refuses a delivery that it does not know", async () => {
    await expect(set({ name: "A", delivery: SecretDelivery.UNRECOGNIZED })).rejects.toMatchObject({
      violations: [{ field: "delivery", description: expect.any(String) as string }],
    });
  });

  it("refuses two secrets that would fill one variable, whichever comes first", async () => {
    const taken = { code: "INVALID_ARGUMENT", message: expect.stringContaining("_FILE") as string };
    await set({ name: "A", delivery: SECRET_DELIVERY_FILE });
    await expect(set({ name: "A_FILE" })).rejects.toMatchObject(taken);
    await set({ name: "B_FILE" });
    await expect(set({ name: "B", delivery: SECRET_DELIVERY_FILE })).rejects.toMatchObject(taken);
    await acme.owner.secrets.deleteSecret({ name: "A" });
    expect((await set({ name: "A_FILE" })).version).toBe(1n);
  });
});
