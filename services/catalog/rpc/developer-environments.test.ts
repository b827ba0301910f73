import { SecretDelivery } from "../../../gen/murmur/catalog/v1/secrets";
import { startCatalog, type CatalogClients, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";

const ALICE = "github/alice";
const BOB = "github/bob";

let catalog: TestCatalog;
let acme: CatalogTenant;
let users: CatalogClients["users"];
beforeAll(async () => {
  catalog = await startCatalog();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
  users = acme.owner.users;
});
afterAll(() => catalog.stop());

const setOf = (
  user: string,
  name: string,
  value: string,
  delivery = SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
) =>
  users.setUserSecret({ user, name, plaintextValue: Buffer.from(value), delivery, requestId: "" });
const profile = (githubTokenSecret: string, name = ALICE) =>
  users.setUser({ name, githubTokenSecret });
const storeSpawn = (agentId: string, values: Record<string, string>) =>
  acme.owner.environments.storeSpawnSecrets({
    agentId,
    secrets: Object.entries(values).map(([name, value]) => ({
      name,
      plaintextValue: Buffer.from(value),
    })),
  });
const sql = (text: string, params: unknown[] = []) =>
  catalog.database.pool.query(text, [acme.id, ...params]);

describe("a developer's secrets", () => {
  it("go to agents of that developer's trees, whatever the workspace takes, and to no others", async () => {
    await acme.set("TENANT", "all");
    await setOf(ALICE, "MINE", "alice's");
    await setOf(BOB, "MINE", "bob's");
    const none = { name: "none", secretRefs: { names: [] }, vms: [] };
    await acme.owner.workspaces.setWorkspace(none);
    const [alices, bobs, carols, elsewhere] = [
      acme.agent({ developer: ALICE }),
      acme.agent({ developer: BOB }),
      acme.agent({ developer: "github/carol" }),
      acme.agent({ developer: ALICE, workspace: "none" }),
    ];
    await acme.snapshot([alices, bobs, carols, elsewhere]);
    expect(await acme.values(alices, 1n)).toEqual({ TENANT: "all", MINE: "alice's" });
    expect(await acme.values(bobs, 1n)).toEqual({ TENANT: "all", MINE: "bob's" });
    expect(await acme.values(carols, 1n)).toEqual({ TENANT: "all" });
    expect(await acme.values(elsewhere, 1n)).toEqual({ MINE: "alice's" });
  });

  it("win over the tenant's, and spawn-time ones over both; what vanished falls back to the scope below", async () => {
    const agent = acme.agent();
    await acme.set("A", "tenant");
    await setOf(ALICE, "A", "alice");
    await setOf(ALICE, "B", "alice");
    await storeSpawn(agent.agentId, { B: "spawn" });
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({ A: "alice", B: "spawn" });
    await users.deleteUserSecret({ user: ALICE, name: "A" });
    const { snapshots } = await acme.snapshot(agent);
    expect(snapshots[0]).toMatchObject({ unchanged: false, changedNames: ["A"] });
    expect(await acme.open(agent, 2n)).toMatchObject({ unsetNames: [] });
    expect(await acme.values(agent, 2n)).toEqual({ A: "tenant", B: "spawn" });
    await acme.owner.secrets.deleteSecret({ name: "A" });
    await acme.snapshot(agent);
    expect(await acme.open(agent, 3n)).toMatchObject({ unsetNames: ["A"] });
  });

  it("are delivered as files, too, and take a variable from the scope below", async () => {
    const agent = acme.agent();
    await acme.set("KEY_FILE", "tenant");
    await setOf(ALICE, "KEY", "pem", SecretDelivery.SECRET_DELIVERY_FILE);
    await acme.snapshot(agent);
    expect(await acme.open(agent, 1n)).toMatchObject({
      variables: [{ name: "KEY", asFile: true }],
    });
  });

  it("come back with a rollback, but not what was deleted since", async () => {
    const agent = acme.agent();
    await acme.set("GONE", "tenant");
    for (const name of ["KEPT", "GONE"]) await setOf(ALICE, name, "old");
    await acme.snapshot(agent);
    await setOf(ALICE, "KEPT", "new");
    await users.deleteUserSecret({ user: ALICE, name: "GONE" });
    await acme.snapshot(agent);
    const back = await acme.snapshot({ ...agent, rollbackToGeneration: 1n });
    expect(back.snapshots[0]!.notRolledBackNames).toEqual(["GONE"]);
    expect(await acme.values(agent, 3n)).toEqual({ KEPT: "old", GONE: "tenant" });
  });
});

describe("GH_TOKEN", () => {
  it("is the secret that the profile names, under whatever name it is kept", async () => {
    const agent = acme.agent();
    await setOf(ALICE, "GH_TOKEN", "of that name");
    await setOf(ALICE, "WORK_TOKEN", "for work");
    await profile("GH_TOKEN");
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({
      GH_TOKEN: "of that name",
      WORK_TOKEN: "for work",
    });
    await profile(`${ALICE}/WORK_TOKEN`);
    const { snapshots } = await acme.snapshot(agent);
    expect(snapshots[0]!.changedNames).toEqual(["GH_TOKEN"]);
    expect(await acme.values(agent, 2n)).toEqual({ GH_TOKEN: "for work", WORK_TOKEN: "for work" });
    await setOf(ALICE, "WORK_TOKEN", "renewed");
    await acme.snapshot(agent);
    expect(await acme.values(agent, 3n)).toEqual({ GH_TOKEN: "renewed", WORK_TOKEN: "renewed" });
  });

  it("is not set without a profile, nor by one that names none, and is unset when it was", async () => {
    const agent = acme.agent();
    await setOf(ALICE, "GH_TOKEN", "mine");
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({});
    await profile("GH_TOKEN");
    await acme.snapshot(agent);
    expect(await acme.values(agent, 2n)).toEqual({ GH_TOKEN: "mine" });
    await profile("");
    await acme.snapshot(agent);
    expect(await acme.values(agent, 3n)).toEqual({});
    expect(await acme.open(agent, 3n)).toMatchObject({ unsetNames: ["GH_TOKEN"] });
  });

  it("that the profile names and that is not there is a warning", async () => {
    const agent = acme.agent();
    await profile("ABSENT");
    const { snapshots } = await acme.snapshot(agent);
    expect(snapshots[0]!.missingNames).toEqual([`${ALICE}/ABSENT`]);
    expect(await acme.values(agent, 1n)).toEqual({});
  });

  it("comes from the agent's own developer's profile and no other", async () => {
    const agent = acme.agent({ developer: BOB });
    for (const user of [ALICE, BOB]) await setOf(user, "GH_TOKEN", user);
    await profile("GH_TOKEN", ALICE);
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({});
    await profile("GH_TOKEN", BOB);
    await acme.snapshot(agent);
    expect(await acme.values(agent, 2n)).toEqual({ GH_TOKEN: BOB });
  });

  it("given at spawn wins over the profile's", async () => {
    const agent = acme.agent();
    await setOf(ALICE, "GH_TOKEN", "profile's");
    await profile("GH_TOKEN");
    await storeSpawn(agent.agentId, { GH_TOKEN: "this agent's" });
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({ GH_TOKEN: "this agent's" });
  });

  it("does not come back with a rollback when the profile names another since", async () => {
    const agent = acme.agent();
    for (const name of ["OLD", "NEW"]) await setOf(ALICE, name, name);
    await profile("OLD");
    await acme.snapshot(agent);
    await profile("NEW");
    await acme.snapshot(agent);
    const back = await acme.snapshot({ ...agent, rollbackToGeneration: 1n });
    expect(back.snapshots[0]!.notRolledBackNames).toEqual(["GH_TOKEN"]);
    expect(await acme.values(agent, 3n)).toMatchObject({ GH_TOKEN: "NEW" });
    await profile("");
    await acme.snapshot({ ...agent, rollbackToGeneration: 1n });
    expect(await acme.values(agent, 4n)).toEqual({ OLD: "OLD", NEW: "NEW" });
  });
});

describe("what was changed in the database gives no developer's secret to another", () => {
  const refuses = (agent: ReturnType<CatalogTenant["agent"]>) =>
    expect(acme.snapshot(agent)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: expect.stringContaining("MAC") as string,
    });

  beforeEach(() => setOf(ALICE, "A", "alice's"));

  it("when the secret is put under another developer", async () => {
    await sql("update catalog.secrets set owner = $2 where tenant_id = $1", [BOB]);
    await sql("update catalog.secret_versions set owner = $2 where tenant_id = $1", [BOB]);
    await refuses(acme.agent({ developer: BOB }));
  });

  it("when it is made the tenant's, also as the tenant's kind", async () => {
    await sql("update catalog.secrets set owner = '' where tenant_id = $1");
    await sql(
      "update catalog.secret_versions set owner = '', kind = 'tenant' where tenant_id = $1",
    );
    await refuses(acme.agent({ developer: BOB }));
  });

  it("when a secret of another developer is pointed at it", async () => {
    await setOf(BOB, "A", "bob's");
    await sql(
      `update catalog.secrets set version_id = (select version_id from catalog.secrets
         where tenant_id = $1 and owner = $2) where tenant_id = $1 and owner = $3`,
      [ALICE, BOB],
    );
    await refuses(acme.agent({ developer: BOB }));
  });

  it("when a profile is pointed at another developer's secret", async () => {
    await profile("GH_TOKEN", BOB);
    await sql("update catalog.users set github_token_secret = $2 where tenant_id = $1", [
      `${ALICE}/A`,
    ]);
    const agent = acme.agent({ developer: BOB });
    await acme.snapshot(agent);
    expect(await acme.values(agent, 1n)).toEqual({});
  });

  it("when the ref of a stored set is given to another developer, or loses its developer", async () => {
    const agent = acme.agent();
    await acme.snapshot(agent);
    for (const refs of [
      `jsonb_set(refs, '{0,5}', to_jsonb($2::text))`,
      `jsonb_build_array((refs -> 0) - 6 - 5 || to_jsonb(array_remove(array[$2::text], $2)))`,
    ]) {
      await sql(`update catalog.environment_sets set refs = ${refs} where tenant_id = $1`, [BOB]);
      expect(await acme.open(agent, 1n)).toBe("tampered");
    }
  });
});
