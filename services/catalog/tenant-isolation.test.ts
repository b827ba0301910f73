import { SecretServiceService } from "../../gen/murmur/catalog/v1/secrets";
import { startCatalog, type TestCatalog } from "../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../test/harness/catalog-tenant";

let catalog: TestCatalog;
let acme: CatalogTenant;
let globex: CatalogTenant;
beforeAll(async () => {
  catalog = await startCatalog();
  acme = await createCatalogTenant(catalog);
  globex = await createCatalogTenant(catalog);
  await acme.set("ACME_ONLY", "acme");
  await acme.owner.workspaces.setWorkspace({ name: "acme-w", secretRefs: undefined, vms: [] });
});
afterAll(() => catalog.stop());

const page = { pageSize: 0, pageToken: "" };

describe("a call of one tenant", () => {
  it("GetSecret, DeleteSecret and ListSecretVersions find no secret of another", async () => {
    const { secrets } = globex.owner;
    const message = 'secret "ACME_ONLY" not found';
    const refusal = { code: "NOT_FOUND", message };
    const name = "ACME_ONLY";
    await expect(secrets.getSecret({ name })).rejects.toMatchObject(refusal);
    await expect(secrets.deleteSecret({ name })).rejects.toMatchObject(refusal);
    await expect(secrets.listSecretVersions({ name, ...page })).rejects.toMatchObject(refusal);
  });

  it("RotateKeyEncryptionKey wraps no data key of another, and GetEncryption counts none", async () => {
    await globex.set("OWN", "1");
    const wrapped = async () => {
      const { rows } = await catalog.database.pool.query<{ wrapped: Buffer }>(
        "select wrapped from catalog.data_keys where tenant_id = $1",
        [acme.id],
      );
      return rows;
    };
    const before = await wrapped();
    const { rotation } = await globex.owner.encryption.rotateKeyEncryptionKey({
      rewrapOnly: false,
    });
    expect(rotation).toMatchObject({ number: 1n, dataKeys: 1 });
    await globex.owner.secrets.deleteSecret({ name: "OWN" });
    expect(await wrapped()).toEqual(before);
    expect(await acme.owner.encryption.getEncryption({})).toMatchObject({
      ...{ dataKeys: 1, waitingDataKeys: 0, lastRotation: undefined },
    });
  });

  it("SetSecret writes beside the secret of another, with numbers of its own", async () => {
    const mine = await globex.set("ACME_ONLY", "globex");
    expect(mine.version).toBe(1n);
    const { secret } = await acme.owner.secrets.getSecret({ name: "ACME_ONLY" });
    expect(secret!.version).toBe(1n);
    await globex.owner.secrets.deleteSecret({ name: "ACME_ONLY" });
  });

  it("ListSecrets and ListWorkspaces list none of another, also with its page token", async () => {
    for (const name of ["A", "B"]) await acme.set(name, "v");
    const first = await acme.owner.secrets.listSecrets({ pageSize: 1, pageToken: "" });
    const listed = await globex.owner.secrets.listSecrets({
      pageSize: 0,
      pageToken: first.nextPageToken,
    });
    expect(listed.secrets).toEqual([]);
    const { workspaces } = await globex.owner.workspaces.listWorkspaces(page);
    expect(workspaces.map(({ name }) => name)).toEqual(["backend"]);
  });

  it("GetWorkspace and DeleteWorkspace find no workspace of another", async () => {
    const { workspaces } = globex.owner;
    const refusal = { code: "NOT_FOUND" };
    await expect(workspaces.getWorkspace({ name: "acme-w" })).rejects.toMatchObject(refusal);
    await expect(workspaces.deleteWorkspace({ name: "acme-w" })).rejects.toMatchObject(refusal);
    const own = { name: "acme-w", secretRefs: { names: [] }, vms: [] };
    expect((await workspaces.setWorkspace(own)).workspace!.revision).toBe(1n);
    expect(
      (await acme.owner.workspaces.getWorkspace({ name: "acme-w" })).workspace!.secretRefs,
    ).toBe(undefined);
  });

  it("SnapshotEnvironments takes no workspace, VM, agent or secret of another", async () => {
    await acme.owner.workspaces.setWorkspace({ name: "theirs", secretRefs: undefined, vms: [] });
    const { agentId } = acme.agent();
    await acme.snapshot(acme.agent({ agentId }));
    const inTheirs = globex.snapshot(globex.agent({ workspace: "theirs" }));
    await expect(inTheirs).rejects.toMatchObject({ code: "NOT_FOUND" });
    const onTheirs = globex.snapshot(globex.agent({ vmId: acme.vm.id }));
    await expect(onTheirs).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    const sameId = globex.agent({ agentId });
    expect((await globex.snapshot(sameId)).snapshots[0]!.generation).toBe(1n);
    expect(await globex.values(sameId, 1n)).toEqual({});
    const back = globex.snapshot(globex.agent({ agentId, rollbackToGeneration: 1n }));
    expect((await back).snapshots[0]!.generation).toBe(2n);
    expect(await globex.values(sameId, 2n)).toEqual({});
  });

  it("StoreSpawnSecrets and ReleaseGenerations touch no agent of another", async () => {
    const agent = acme.agent();
    const { agentId } = agent;
    const mine = [{ name: "ONLY", plaintextValue: Buffer.from("acme") }];
    const theirs = [{ name: "ONLY", plaintextValue: Buffer.from("globex") }];
    await acme.owner.environments.storeSpawnSecrets({ agentId, secrets: mine });
    await globex.owner.environments.storeSpawnSecrets({ agentId, secrets: theirs });
    await acme.snapshot(agent);
    const release = { agentId, floor: 9n, confirmed: 9n, ended: true };
    await globex.rotation.releaseGenerations({ releases: [release] });
    expect(await acme.values(agent, 1n)).toMatchObject({ ONLY: "acme" });
  });

  it("with another's request id is a call of its own", async () => {
    const write = { name: "R", requestId: "shared" };
    await acme.owner.secrets.setSecret(acme.write(write));
    const other = globex.write({ ...write, plaintextValue: Buffer.from("other") });
    expect((await globex.owner.secrets.setSecret(other)).secret!.version).toBe(1n);
    await acme.snapshot(acme.agent(), "shared-rollout");
    const { snapshots } = await globex.snapshot(globex.agent(), "shared-rollout");
    expect(snapshots[0]!.generation).toBe(1n);
  });
});

describe("a caller without rights", () => {
  it("learns nothing of what exists", async () => {
    const member = catalog.clients(catalog.developer({ tenantId: acme.id, role: "member" }));
    const nobody = catalog.clients();
    const errors = await Promise.all(
      ["ACME_ONLY", "NEVER"].flatMap((name) =>
        [member, nobody].map(({ secrets }) =>
          secrets.deleteSecret({ name }).catch((error: unknown) => String(error)),
        ),
      ),
    );
    expect(errors).toEqual([
      "AppError: permission denied",
      "AppError: identity token is missing or expired",
      "AppError: permission denied",
      "AppError: identity token is missing or expired",
    ]);
  });

  it("cannot use a service's token for another method", async () => {
    const credentials = catalog.rotation(acme.id);
    const stolen = await credentials(SecretServiceService.listSecrets.path);
    const clients = catalog.clients(() => Promise.resolve(stolen));
    const snapshot = clients.environments.snapshotEnvironments({
      agents: [acme.agent()],
      requestId: "",
    });
    await expect(snapshot).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });
});
