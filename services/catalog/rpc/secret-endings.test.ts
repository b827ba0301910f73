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

type Agent = ReturnType<CatalogTenant["agent"]>;
const heldBy = (...agents: Agent[]) => ({
  holders: agents
    .map(({ agentId }) => ({ agentId, workspace: "backend" }))
    .sort((a, b) => (a.agentId < b.agentId ? -1 : 1)),
});
const release = (agent: Agent, floor: bigint, ended = false) =>
  acme.rotation.releaseGenerations({
    releases: [{ agentId: agent.agentId, floor, confirmed: floor, ended }],
  });
async function snapshots(...agents: Agent[]): Promise<void> {
  await acme.snapshot(agents);
}
const audit = async (action: string) => {
  const { rows } = await catalog.database.pool.query(
    `select object_kind, object_id, detail from catalog.audit
     where tenant_id = $1 and action = $2`,
    [acme.id, action],
  );
  return rows as object[];
};

describe("RevokeSecret", () => {
  it("deletes the secret and names its holders: the next generation of each is without it", async () => {
    await acme.set("A", "1");
    const [now, before, never, over] = [acme.agent(), acme.agent(), acme.agent(), acme.agent()];
    await snapshots(now, before, over);
    await acme.set("A", "2");
    await snapshots(now);
    await acme.set("B", "b");
    const none = { name: "none", secretRefs: { names: ["B"] }, vms: [] };
    await acme.owner.workspaces.setWorkspace(none);
    await snapshots({ ...never, workspace: "none" });
    await release(over, 1n, true);
    expect(await secrets.revokeSecret({ name: "A" })).toEqual(heldBy(now, before));
    await expect(secrets.getSecret({ name: "A" })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await snapshots(now, before);
    expect(await acme.open(now, 3n)).toMatchObject({ unsetNames: ["A"] });
    expect(await acme.values(before, 2n)).toEqual({ B: "b" });
    expect(await audit("secret.revoke")).toEqual([
      { object_kind: "secret", object_id: "A", detail: { version: 3 } },
    ]);
  });

  it("again names those who still hold it, until what has it is released", async () => {
    await acme.set("A", "1");
    const agent = acme.agent();
    await snapshots(agent);
    await secrets.deleteSecret({ name: "A" });
    expect(await secrets.revokeSecret({ name: "A" })).toEqual(heldBy(agent));
    await snapshots(agent);
    expect(await secrets.revokeSecret({ name: "A" })).toEqual(heldBy(agent));
    await release(agent, 2n);
    expect(await secrets.revokeSecret({ name: "A" })).toEqual({ holders: [] });
    expect(await audit("secret.revoke")).toEqual([]);
  });

  it("does not bring the secret back with a rollback", async () => {
    await acme.set("A", "1");
    const agent = acme.agent();
    await snapshots(agent);
    await secrets.revokeSecret({ name: "A" });
    const { snapshots: back } = await acme.snapshot({ ...agent, rollbackToGeneration: 1n });
    expect(back[0]!.notRolledBackNames).toEqual(["A"]);
    expect(await acme.values(agent, 2n)).toEqual({});
  });

  it("refuses what never was, another tenant's and reserved names", async () => {
    const globex = await createCatalogTenant(catalog);
    await globex.set("THEIRS", "1");
    for (const name of ["NEVER", "THEIRS"])
      await expect(secrets.revokeSecret({ name })).rejects.toMatchObject({
        code: "NOT_FOUND",
        message: `secret "${name}" not found`,
      });
    for (const name of ["GH_TOKEN", "MURMUR_X", "lower"])
      await expect(secrets.revokeSecret({ name })).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        metadata: { field: "name" },
      });
    expect((await globex.owner.secrets.getSecret({ name: "THEIRS" })).secret?.version).toBe(1n);
  });
});

describe("DestroySecretVersion", () => {
  const destroy = (version: bigint, force = false, name = "A") =>
    secrets.destroySecretVersion({ name, version, force });
  const stored = async (version: bigint) => {
    const { rows } = await catalog.database.pool.query<{ sealed: Buffer | null }>(
      `select sealed, data_key_id from catalog.secret_versions
       where tenant_id = $1 and name = 'A' and version = $2`,
      [acme.id, version],
    );
    return rows[0];
  };
  const inUse = (why: string) => ({
    code: "FAILED_PRECONDITION",
    reason: ErrorReason.ERROR_REASON_SECRET_VERSION_IN_USE,
    message: expect.stringContaining(why) as string,
  });

  it("removes the value of an old version for good, and says so in the history", async () => {
    await acme.set("A", "1");
    await acme.set("A", "2");
    expect(await destroy(1n)).toEqual({ holders: [] });
    expect(await stored(1n)).toEqual({ sealed: null, data_key_id: null });
    expect((await stored(2n))?.sealed).not.toBe(null);
    const page = { name: "A", pageSize: 0, pageToken: "" };
    const { versions } = await secrets.listSecretVersions(page);
    expect(
      versions.map(({ version, destroyed, deleted, current }) => ({
        version,
        destroyed,
        deleted,
        current,
      })),
    ).toEqual([
      { version: 2n, destroyed: false, deleted: false, current: true },
      { version: 1n, destroyed: true, deleted: false, current: false },
    ]);
    expect(await audit("secret.destroy")).toEqual([
      { object_kind: "secret", object_id: "A", detail: { version: 1, forced: false, agents: 0 } },
    ]);
    expect(await destroy(1n)).toEqual({ holders: [] });
    expect(await audit("secret.destroy")).toHaveLength(1);
  });

  it("is refused while a generation that is not released pins the version", async () => {
    await acme.set("A", "1");
    const agent = acme.agent();
    await snapshots(agent);
    await acme.set("A", "2");
    await expect(destroy(1n)).rejects.toMatchObject(inUse("1 agent holds it"));
    await snapshots(agent);
    await expect(destroy(1n)).rejects.toMatchObject(inUse("1 agent holds it"));
    expect(await acme.values(agent, 1n)).toEqual({ A: "1" });
    await release(agent, 2n);
    expect(await destroy(1n)).toEqual({ holders: [] });
    expect(await acme.values(agent, 2n)).toEqual({ A: "2" });
  });

  it("forced, is delivered to nobody any more, whatever a replica remembers, and names who held it", async () => {
    await acme.set("A", "1");
    const [agent, other] = [acme.agent(), acme.agent()];
    await snapshots(agent, other);
    await acme.set("A", "2");
    await snapshots(other);
    // What was opened is remembered, sealed.
    expect(await acme.values(agent, 1n)).toEqual({ A: "1" });
    expect(await destroy(1n, true)).toEqual(heldBy(agent, other));
    expect(await acme.open(agent, 1n)).toBe("not-available");
    expect(await acme.open(other, 1n)).toBe("not-available");
    expect(await acme.values(other, 2n)).toEqual({ A: "2" });
    // Who was told may ask again after a crash.
    expect(await destroy(1n, true)).toEqual(heldBy(agent));
    await snapshots(agent);
    expect(await acme.values(agent, 2n)).toEqual({ A: "2" });
    await expect(acme.snapshot({ ...agent, rollbackToGeneration: 1n })).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_GENERATION_NOT_AVAILABLE,
    });
  });

  it("of the current version needs force, and then deletes the secret", async () => {
    await acme.set("A", "1");
    await expect(destroy(1n)).rejects.toMatchObject(inUse("it is the current one"));
    expect(await destroy(1n, true)).toEqual({ holders: [] });
    await expect(secrets.getSecret({ name: "A" })).rejects.toMatchObject({ code: "NOT_FOUND" });
    const agent = acme.agent();
    await snapshots(agent);
    expect(await acme.values(agent, 1n)).toEqual({});
    expect((await acme.set("A", "3")).version).toBe(3n);
  });

  it("does not come back with a rollback to a set that a replica could still put together", async () => {
    await acme.set("A", "1");
    await acme.set("B", "b");
    const agent = acme.agent();
    await snapshots(agent);
    await acme.set("A", "2");
    await snapshots(agent);
    await destroy(1n, true);
    const { rows } = await catalog.database.pool.query(
      "select generation from catalog.generations where tenant_id = $1",
      [acme.id],
    );
    expect(rows).toEqual([{ generation: 2n }]);
  });

  it("of what never was, a deletion or another tenant's is not found", async () => {
    await acme.set("A", "1");
    await secrets.deleteSecret({ name: "A" });
    const globex = await createCatalogTenant(catalog);
    await globex.set("THEIRS", "1");
    for (const version of [2n, 3n])
      await expect(destroy(version)).rejects.toMatchObject({
        code: "NOT_FOUND",
        reason: ErrorReason.ERROR_REASON_SECRET_VERSION_NOT_FOUND,
        message: `version ${version} of secret "A" not found`,
      });
    for (const name of ["THEIRS", "lower", "nul\0"])
      await expect(destroy(1n, true, name)).rejects.toMatchObject({
        reason: ErrorReason.ERROR_REASON_SECRET_NOT_FOUND,
      });
    for (const version of [0n, -1n])
      await expect(destroy(version)).rejects.toMatchObject({ metadata: { field: "version" } });
  });

  it("waits for a snapshot that has read the version, and then finds it in use", async () => {
    await acme.set("A", "1");
    const agents = Array.from({ length: 20 }, () => acme.agent());
    // Each round a snapshot, a write and a destruction race; whoever loses, no generation is broken.
    for (const agent of agents) {
      const { version } = await acme.set("A", "next");
      const [, , destroyed] = await Promise.all([
        acme.snapshot(agent),
        acme.set("A", "after"),
        destroy(version).catch((error: unknown) => error),
      ]);
      if (destroyed instanceof Error)
        expect(destroyed).toMatchObject({ reason: ErrorReason.ERROR_REASON_SECRET_VERSION_IN_USE });
      expect(await acme.values(agent, 1n)).toMatchObject({ A: expect.any(String) as string });
    }
  }, 120_000);
});
