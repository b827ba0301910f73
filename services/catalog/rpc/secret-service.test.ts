import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";

let catalog: TestCatalog;
let acme: CatalogTenant;
let secrets: CatalogTenant["owner"]["secrets"];
beforeAll(async () => {
  catalog = await startCatalog();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
  secrets = acme.owner.secrets;
});
afterAll(() => catalog.stop());

const notFound = (name: string) => ({
  code: "NOT_FOUND",
  reason: ErrorReason.ERROR_REASON_SECRET_NOT_FOUND,
  message: `secret "${name}" not found`,
});

describe("GetSecret", () => {
  it("shows what SetSecret answered", async () => {
    const written = await acme.set("A", "v");
    expect((await secrets.getSecret({ name: "A" })).secret).toEqual(written);
  });

  it.each(["A", "foo", "", "MURMUR_X", "nul\0"])("does not find %j", async (name) => {
    await expect(secrets.getSecret({ name })).rejects.toMatchObject(notFound(name));
  });

  it("does not find a secret that was deleted", async () => {
    await acme.set("A", "v");
    await secrets.deleteSecret({ name: "A" });
    await expect(secrets.getSecret({ name: "A" })).rejects.toMatchObject(notFound("A"));
  });
});

describe("ListSecrets", () => {
  const list = async (pageSize: number, pageToken = "") => {
    const page = await secrets.listSecrets({ pageSize, pageToken });
    return { names: page.secrets.map(({ name }) => name), next: page.nextPageToken };
  };

  it("lists by name, in pages without a gap or a double, and no deleted one", async () => {
    for (const name of ["B", "A_B", "AB", "A", "C"]) await acme.set(name, "v");
    await secrets.deleteSecret({ name: "C" });
    const first = await list(2);
    const second = await list(2, first.next);
    expect(first.names).toEqual(["A", "AB"]);
    expect(second).toEqual({ names: ["A_B", "B"], next: "" });
    expect((await list(0)).names).toEqual(["A", "AB", "A_B", "B"]);
  });

  it("is empty for a new tenant", async () => {
    expect(await list(0)).toEqual({ names: [], next: "" });
  });

  it.each([
    ["page_size", -1, ""],
    ["page_size", 1001, ""],
    ["page_token", 0, "garbled"],
  ])("refuses a wrong %s (%i, %j) and names it", async (field, size, token) => {
    await expect(list(size, token)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [{ field, description: expect.any(String) as string }],
    });
  });
});

describe("DeleteSecret", () => {
  it("ends the secret once; then it is not found", async () => {
    await acme.set("A", "v");
    expect(await secrets.deleteSecret({ name: "A" })).toEqual({});
    await expect(secrets.deleteSecret({ name: "A" })).rejects.toMatchObject(notFound("A"));
    const { rows } = await catalog.database.pool.query(
      `select object_id, detail from catalog.audit
       where tenant_id = $1 and action = 'secret.delete'`,
      [acme.id],
    );
    expect(rows).toEqual([{ object_id: "A", detail: { version: 2 } }]);
  });

  it.each(["GH_TOKEN", "MURMUR_X"])("refuses %s", async (name) => {
    await expect(secrets.deleteSecret({ name })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: `secret name "${name}" is reserved and cannot be deleted`,
      violations: [{ field: "name", description: expect.any(String) as string }],
    });
  });

  it("refuses when the version is not the expected one", async () => {
    await acme.set("A", "v");
    await expect(secrets.deleteSecret({ name: "A", expectedVersion: 2n })).rejects.toMatchObject({
      code: "ABORTED",
      metadata: { name: "A", version: "1" },
    });
    await secrets.deleteSecret({ name: "A", expectedVersion: 1n });
  });

  it("ends it once for many that ask at once", async () => {
    await acme.set("A", "v");
    const calls = Array.from({ length: 10 }, () => secrets.deleteSecret({ name: "A" }));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});

describe("ListSecretVersions", () => {
  it("lists the history newest first, over deletions, and says which is current", async () => {
    for (const value of ["1", "2"]) await acme.set("A", value);
    await secrets.deleteSecret({ name: "A" });
    await acme.set("A", "4");
    const { versions } = await secrets.listSecretVersions({
      name: "A",
      pageSize: 0,
      pageToken: "",
    });
    expect(versions.map(({ version, deleted, current }) => [version, deleted, current])).toEqual([
      [4n, false, true],
      [3n, true, false],
      [2n, false, false],
      [1n, false, false],
    ]);
    expect(versions.every(({ writtenBy }) => writtenBy === "github/alice")).toBe(true);
  });

  it("shows the history of a deleted secret", async () => {
    await acme.set("A", "1");
    await secrets.deleteSecret({ name: "A" });
    const page = await secrets.listSecretVersions({ name: "A", pageSize: 0, pageToken: "" });
    expect(page.versions.map(({ current }) => current)).toEqual([false, false]);
  });

  it("comes in pages", async () => {
    for (const value of ["1", "2", "3"]) await acme.set("A", value);
    const list = (pageToken: string) =>
      secrets.listSecretVersions({ name: "A", pageSize: 2, pageToken });
    const first = await list("");
    const second = await list(first.nextPageToken);
    expect([...first.versions, ...second.versions].map(({ version }) => version)).toEqual([
      3n,
      2n,
      1n,
    ]);
    expect(second.nextPageToken).toBe("");
    const wrong = secrets.listSecretVersions({
      name: "B",
      pageSize: 2,
      pageToken: first.nextPageToken,
    });
    await expect(wrong).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it.each(["A", "foo"])("does not find %s, which never was", async (name) => {
    const history = secrets.listSecretVersions({ name, pageSize: 0, pageToken: "" });
    await expect(history).rejects.toMatchObject(notFound(name));
  });
});
