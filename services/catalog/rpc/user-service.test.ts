import { SecretDelivery } from "../../../gen/murmur/catalog/v1/secrets";
import type { SetUserSecretRequest } from "../../../gen/murmur/catalog/v1/users";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { startCatalog, type CatalogClients, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";

const ALICE = "github/alice";
const BOB = "github/bob";

let catalog: TestCatalog;
let acme: CatalogTenant;
/** A member. */
let alice: CatalogClients["users"];
let bob: CatalogClients["users"];
let admin: CatalogClients["users"];
beforeAll(async () => {
  catalog = await startCatalog();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
  alice = catalog.clients(catalog.developer({ tenantId: acme.id, role: "member" })).users;
  bob = clientsOf({ id: BOB, role: "member" });
  admin = clientsOf({ id: "github/carol", role: "admin" });
});
afterAll(() => catalog.stop());

const clientsOf = (who: { id: string; role: "member" | "admin" }) =>
  catalog.clients(catalog.developer({ tenantId: acme.id, ...who })).users;
const write = (fields: Partial<SetUserSecretRequest> & { name: string }) => ({
  user: ALICE,
  plaintextValue: Buffer.from("v"),
  delivery: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
  requestId: "",
  ...fields,
});
const PAGE = { pageSize: 0, pageToken: "" };
const audit = async (action: string) => {
  const { rows } = await catalog.database.pool.query(
    `select actor_id, object_kind, object_id, detail from catalog.audit
     where tenant_id = $1 and action = $2`,
    [acme.id, action],
  );
  return rows as object[];
};

describe("a developer's secret", () => {
  it("is written, shown without its value, listed, and deleted by that developer", async () => {
    const { secret } = await alice.setUserSecret(write({ name: "NPM_TOKEN", description: "mine" }));
    expect(secret).toMatchObject({
      user: ALICE,
      secret: { name: "NPM_TOKEN", version: 1n, description: "mine", updatedBy: ALICE },
    });
    expect((await alice.getUserSecret({ user: ALICE, name: "NPM_TOKEN" })).secret).toEqual(secret);
    expect((await alice.listUserSecrets({ user: "", ...PAGE })).secrets).toEqual([secret]);
    await alice.deleteUserSecret({ user: ALICE, name: "NPM_TOKEN" });
    const versions = await alice.listUserSecretVersions({
      user: ALICE,
      name: "NPM_TOKEN",
      ...PAGE,
    });
    expect(versions.versions.map(({ version, deleted }) => [version, deleted])).toEqual([
      [2n, true],
      [1n, false],
    ]);
    await expect(alice.getUserSecret({ user: ALICE, name: "NPM_TOKEN" })).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: `secret "${ALICE}/NPM_TOKEN" not found`,
    });
  });

  it("is recorded under the developer's name", async () => {
    await admin.setUserSecret(write({ name: "A" }));
    await admin.deleteUserSecret({ user: ALICE, name: "A" });
    const object = {
      actor_id: "github/carol",
      object_kind: "user-secret",
      object_id: `${ALICE}/A`,
    };
    expect(await audit("user-secret.set")).toEqual([{ ...object, detail: { version: 1 } }]);
    expect(await audit("user-secret.delete")).toEqual([{ ...object, detail: { version: 2 } }]);
    expect(await audit("secret.set")).toEqual([]);
  });

  it("may be GH_TOKEN, and follows the other rules of names", async () => {
    expect((await alice.setUserSecret(write({ name: "GH_TOKEN" }))).secret?.secret?.version).toBe(
      1n,
    );
    await alice.deleteUserSecret({ user: ALICE, name: "GH_TOKEN" });
    for (const [name, message] of [
      ["foo", 'secret name "foo" must match [A-Z][A-Z0-9_]*'],
      ["MURMUR_X", 'secret name "MURMUR_X" is reserved (MURMUR_* is internal)'],
      ["LD_PRELOAD", 'secret name "LD_PRELOAD" is reserved — it changes how programs start'],
    ] as const)
      await expect(alice.setUserSecret(write({ name }))).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        message,
      });
    await expect(alice.deleteUserSecret({ user: ALICE, name: "MURMUR_X" })).rejects.toThrow(
      'secret name "MURMUR_X" is reserved and cannot be deleted',
    );
  });

  it("is no tenant secret, nor another developer's of the same name", async () => {
    await acme.set("A", "tenant");
    await alice.setUserSecret(write({ name: "A" }));
    await alice.setUserSecret(write({ name: "ONLY_ALICE" }));
    await bob.setUserSecret(write({ name: "A", user: BOB }));
    await alice.setUserSecret(write({ name: "A" }));
    const listed = await acme.owner.secrets.listSecrets(PAGE);
    expect(listed.secrets.map(({ name, version }) => [name, version])).toEqual([["A", 1n]]);
    await acme.owner.secrets.deleteSecret({ name: "A" });
    const of = async (user: string) =>
      (await admin.listUserSecrets({ user, ...PAGE })).secrets.map(
        ({ user: owner, secret }) => `${owner}/${secret?.name} ${secret?.version}`,
      );
    expect(await of("")).toEqual([`${ALICE}/A 2`, `${ALICE}/ONLY_ALICE 1`, `${BOB}/A 1`]);
    expect(await of(BOB)).toEqual([`${BOB}/A 1`]);
    await expect(acme.owner.secrets.getSecret({ name: "ONLY_ALICE" })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });

  it("is listed in pages without a gap or a double, also across developers", async () => {
    for (const user of [ALICE, BOB])
      for (const name of ["B", "A"]) await admin.setUserSecret(write({ name, user }));
    const seen: string[] = [];
    for (let pageToken = ""; ;) {
      const page = await admin.listUserSecrets({ user: "", pageSize: 1, pageToken });
      seen.push(...page.secrets.map(({ user, secret }) => `${user}/${secret!.name}`));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    expect(seen).toEqual([`${ALICE}/A`, `${ALICE}/B`, `${BOB}/A`, `${BOB}/B`]);
  });

  it("written twice with one request id is one version; the id is good for nothing else", async () => {
    const once = write({ name: "A", requestId: "once" });
    const first = await alice.setUserSecret(once);
    expect(await alice.setUserSecret(once)).toEqual(first);
    const changed = { ...once, plaintextValue: Buffer.from("other") };
    await expect(alice.setUserSecret(changed)).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    });
    // The same id in another call is another request.
    const tenants = { ...acme.write({ name: "A", requestId: "once" }) };
    expect((await acme.owner.secrets.setSecret(tenants)).secret?.version).toBe(1n);
  });

  it("lies sealed as its developer's and under its name: moved, it opens nowhere", async () => {
    await alice.setUserSecret(write({ name: "A", plaintextValue: Buffer.from("in the clear") }));
    const { rows } = await catalog.database.pool.query<{
      kind: string;
      owner: string;
      sealed: Buffer;
    }>(`select kind, owner, sealed from catalog.secret_versions where tenant_id = $1`, [acme.id]);
    expect(rows.map(({ kind, owner }) => [kind, owner])).toEqual([["user", ALICE]]);
    expect(rows[0]!.sealed.includes("in the clear")).toBe(false);
  });
});

describe("a profile", () => {
  const profile = (fields: { name?: string; githubTokenSecret: string }) => ({
    name: ALICE,
    expectedRevision: undefined,
    ...fields,
  });

  it("is written and shown by its developer, names a secret in either way, and warns of a missing one", async () => {
    const first = await alice.setUser(profile({ githubTokenSecret: "GH_TOKEN" }));
    expect(first.warnings).toEqual([
      `secret "${ALICE}/GH_TOKEN" in github_token_secret does not exist`,
    ]);
    await alice.setUserSecret(write({ name: "GH_TOKEN" }));
    const { user, warnings } = await alice.setUser(
      profile({ githubTokenSecret: `${ALICE}/GH_TOKEN` }),
    );
    expect(warnings).toEqual([]);
    expect(user).toMatchObject({
      ...{ name: ALICE, githubTokenSecret: "GH_TOKEN", revision: 2n, updatedBy: ALICE },
    });
    expect((await alice.getUser({ name: ALICE })).user).toEqual(user);
    expect((await alice.listUsers(PAGE)).users).toEqual([user]);
    await alice.deleteUser({ name: ALICE });
    await expect(alice.getUser({ name: ALICE })).rejects.toMatchObject({
      code: "NOT_FOUND",
      reason: ErrorReason.ERROR_REASON_USER_NOT_FOUND,
      message: `user "${ALICE}" not found`,
    });
    await expect(alice.deleteUser({ name: ALICE })).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await alice.listUsers(PAGE)).users).toEqual([]);
    expect(await audit("user.set")).toHaveLength(2);
    expect(await audit("user.delete")).toHaveLength(1);
  });

  it("names no secret of another developer, and nothing that is no secret's name", async () => {
    for (const githubTokenSecret of [`${BOB}/GH_TOKEN`, "a", "MURMUR_X", "LD_PRELOAD", "x\0"])
      await expect(alice.setUser(profile({ githubTokenSecret }))).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        metadata: { field: "github_token_secret" },
      });
  });

  it("is refused to a writer who lost the race", async () => {
    await alice.setUser(profile({ githubTokenSecret: "" }));
    const late = { ...profile({ githubTokenSecret: "" }), expectedRevision: 0n };
    await expect(alice.setUser(late)).rejects.toMatchObject({
      code: "ABORTED",
      reason: ErrorReason.ERROR_REASON_USER_CONFLICT,
    });
    const early = { ...profile({ name: BOB, githubTokenSecret: "" }), expectedRevision: 7n };
    await expect(bob.setUser(early)).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("of a name that is none is refused by its field", async () => {
    for (const name of ["alice", "GitHub/alice", "github/", "github/a/b", "", "x".repeat(300)])
      await expect(admin.setUser(profile({ name, githubTokenSecret: "" }))).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        violations: [{ field: "name" }],
      });
    const bad = write({ name: "A", user: "alice" });
    await expect(admin.setUserSecret(bad)).rejects.toMatchObject({ metadata: { field: "user" } });
  });
});

describe("another developer", () => {
  const name = "A";
  const calls: [string, (of: CatalogClients["users"], user: string) => Promise<unknown>][] = [
    ["SetUser", (of, user) => of.setUser({ name: user, githubTokenSecret: "" })],
    ["GetUser", (of, user) => of.getUser({ name: user })],
    ["DeleteUser", (of, user) => of.deleteUser({ name: user })],
    ["SetUserSecret", (of, user) => of.setUserSecret(write({ name, user }))],
    ["GetUserSecret", (of, user) => of.getUserSecret({ user, name })],
    ["ListUserSecrets", (of, user) => of.listUserSecrets({ user, ...PAGE })],
    ["DeleteUserSecret", (of, user) => of.deleteUserSecret({ user, name })],
    ["ListUserSecretVersions", (of, user) => of.listUserSecretVersions({ user, name, ...PAGE })],
  ];

  it.each(calls)("gets the same refusal of %s, whoever is there", async (_rpc, call) => {
    await alice.setUser({ name: ALICE, githubTokenSecret: "" });
    await alice.setUserSecret(write({ name }));
    const refusals = await Promise.all(
      [ALICE, "github/nobody", "garbled"].map((user) =>
        call(bob, user).catch((error: unknown) => String(error)),
      ),
    );
    expect(new Set(refusals)).toEqual(
      new Set(["AppError: only the developer, an admin or an owner may do this"]),
    );
  });

  it("sees in lists what is theirs, and nothing else", async () => {
    await alice.setUser({ name: ALICE, githubTokenSecret: "" });
    await alice.setUserSecret(write({ name }));
    expect((await bob.listUsers(PAGE)).users).toEqual([]);
    expect((await bob.listUserSecrets({ user: "", ...PAGE })).secrets).toEqual([]);
    expect((await admin.listUsers(PAGE)).users.map((user) => user.name)).toEqual([ALICE]);
  });

  it("of another tenant, with the same name, has secrets and a profile of their own", async () => {
    await alice.setUser({ name: ALICE, githubTokenSecret: "A" });
    await alice.setUserSecret(write({ name }));
    const globex = await createCatalogTenant(catalog);
    const { users } = globex.owner;
    expect((await users.listUsers(PAGE)).users).toEqual([]);
    expect((await users.listUserSecrets({ user: "", ...PAGE })).secrets).toEqual([]);
    for (const call of [
      users.getUser({ name: ALICE }),
      users.deleteUser({ name: ALICE }),
      users.getUserSecret({ user: ALICE, name }),
      users.deleteUserSecret({ user: ALICE, name }),
      users.listUserSecretVersions({ user: ALICE, name, ...PAGE }),
    ])
      await expect(call).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await users.setUserSecret(write({ name }))).secret?.secret?.version).toBe(1n);
    const { user } = await users.setUser({ name: ALICE, githubTokenSecret: "" });
    expect(user?.revision).toBe(1n);
    expect((await alice.getUser({ name: ALICE })).user?.githubTokenSecret).toBe("A");
  });
});
