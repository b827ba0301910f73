import { randomUUID } from "node:crypto";
import { SecretDelivery } from "../../../gen/murmur/catalog/v1/secrets";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";

let catalog: TestCatalog;
let acme: CatalogTenant;
beforeAll(async () => {
  catalog = await startCatalog();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
});
afterAll(() => catalog.stop());

const importAll = (
  values: readonly (readonly [string, string])[],
  fields: { dryRun?: boolean; requestId?: string } = {},
  tenant = acme,
) =>
  tenant.owner.secrets.importSecrets({
    secrets: values.map(([name, value]) => ({ name, plaintextValue: Buffer.from(value) })),
    dryRun: false,
    requestId: "",
    ...fields,
  });
const listed = async (tenant = acme) => {
  const { secrets } = await tenant.owner.secrets.listSecrets({ pageSize: 0, pageToken: "" });
  return secrets.map(({ name, version }) => `${name} ${version}`);
};
const audited = async () => {
  const { rows } = await catalog.database.pool.query<{ object_id: string }>(
    `select object_id from catalog.audit
     where tenant_id = $1 and action = 'secret.set' order by object_id`,
    [acme.id],
  );
  return rows.map(({ object_id }) => object_id);
};

describe("ImportSecrets", () => {
  it("writes all in the order of the request, keeps descriptions and deliveries, and records each", async () => {
    await acme.owner.secrets.setSecret(
      acme.write({ name: "B", description: "kept", delivery: SecretDelivery.SECRET_DELIVERY_FILE }),
    );
    const { secrets } = await importAll([
      ["C", "c"],
      ["A", "a"],
      ["B", "b"],
    ]);
    expect(secrets.map(({ name, version }) => `${name} ${version}`)).toEqual(["C 1", "A 1", "B 2"]);
    expect(secrets[2]).toMatchObject({
      description: "kept",
      delivery: SecretDelivery.SECRET_DELIVERY_FILE,
    });
    expect(await audited()).toEqual(["A", "B", "B", "C"]);
    const agent = acme.agent();
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({ A: "a", B: "b", C: "c" });
  });

  it("writes nothing when one is wrong, and names every fault by its place", async () => {
    await expect(
      importAll([
        ["GOOD", "v"],
        ["bad", "v"],
        ["GH_TOKEN", "v"],
        ["EMPTY", ""],
        ["GOOD", "again"],
        ["LD_PRELOAD", "v"],
      ]),
    ).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [
        "secrets[1].name",
        "secrets[2].name",
        "secrets[3].plaintext_value",
        "secrets[4].name",
        "secrets[5].name",
      ].map((field) => ({ field, description: expect.any(String) as string })),
    });
    expect(await listed()).toEqual([]);
  });

  it("writes nothing when one would fill another's variable", async () => {
    await acme.set("KEY", "v", SecretDelivery.SECRET_DELIVERY_FILE);
    const both = [
      ["A", "v"],
      ["KEY_FILE", "v"],
    ] as const;
    await expect(importAll(both)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining('secret "KEY_FILE" and another') as string,
    });
    expect(await listed()).toEqual(["KEY 1"]);
  });

  it("in a dry run says what would be, finds what is wrong, and writes nothing", async () => {
    await acme.set("A", "v");
    const { secrets } = await importAll(
      [
        ["A", "new"],
        ["B", "b"],
      ],
      { dryRun: true },
    );
    expect(secrets.map(({ name, version }) => `${name} ${version}`)).toEqual(["A 2", "B 1"]);
    await acme.set("KEY", "v", SecretDelivery.SECRET_DELIVERY_FILE);
    await expect(importAll([["KEY_FILE", "v"]], { dryRun: true })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    expect(await listed()).toEqual(["A 1", "KEY 1"]);
    expect(await audited()).toEqual(["A", "KEY"]);
  });

  it("is carried out once under one request id, also when asked at once, and refuses another body", async () => {
    const requestId = randomUUID();
    const values = [["A", "1"]] as const;
    const answers = await Promise.all([1, 2, 3].map(() => importAll(values, { requestId })));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await listed()).toEqual(["A 1"]);
    await expect(importAll([["A", "2"]], { requestId })).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    });
    await catalog.database.pool.query(
      "update catalog.requests set expires_at = now() where tenant_id = $1",
      [acme.id],
    );
    await importAll([["A", "2"]], { requestId });
    expect(await listed()).toEqual(["A 2"]);
  });

  it("takes from 1 to 1,000 secrets", async () => {
    await expect(importAll([])).rejects.toMatchObject({ metadata: { field: "secrets" } });
    const many = Array.from({ length: 1_001 }, (_, n) => [`N_${n}`, "v"] as const);
    await expect(importAll(many)).rejects.toMatchObject({ metadata: { field: "secrets" } });
    expect((await importAll(many.slice(1))).secrets).toHaveLength(1_000);
  });

  it("touches no other tenant", async () => {
    const globex = await createCatalogTenant(catalog);
    await importAll([["A", "1"]]);
    await importAll([["A", "2"]], { requestId: "shared" }, globex);
    expect(await listed()).toEqual(["A 1"]);
    expect(await listed(globex)).toEqual(["A 1"]);
  });
});
