import type { SetWorkspaceRequest } from "../../../gen/murmur/catalog/v1/workspaces";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { createCatalogTenant, type CatalogTenant } from "../../../test/harness/catalog-tenant";

let catalog: TestCatalog;
let acme: CatalogTenant;
let workspaces: CatalogTenant["owner"]["workspaces"];
beforeAll(async () => {
  catalog = await startCatalog();
});
beforeEach(async () => {
  acme = await createCatalogTenant(catalog);
  workspaces = acme.owner.workspaces;
});
afterAll(() => catalog.stop());

const set = (fields: Partial<SetWorkspaceRequest> & { name: string }) =>
  workspaces.setWorkspace({ secretRefs: undefined, vms: [], ...fields });

describe("SetWorkspace", () => {
  it("creates a workspace, then replaces its fields and counts its revisions", async () => {
    const { workspace } = await set({ name: "w", description: "d", vms: ["vm-2", "vm-1"] });
    expect(workspace).toMatchObject({ revision: 1n, description: "d", vms: ["vm-2", "vm-1"] });
    expect(workspace).toMatchObject({ updatedBy: "github/alice" });
    const again = await set({ name: "w" });
    expect(again.workspace).toMatchObject({ revision: 2n, vms: [] });
    expect(again.workspace!.description).toBeUndefined();
    expect(again.workspace!.createdAt).toEqual(workspace!.createdAt);
    expect((await workspaces.getWorkspace({ name: "w" })).workspace).toEqual(again.workspace);
  });

  it("tells absent secret_refs, which take all, from empty ones, which take none", async () => {
    await set({ name: "all" });
    await set({ name: "none", secretRefs: { names: [] } });
    await set({ name: "some", secretRefs: { names: ["B", "A", "B"] } });
    const refsOf = async (name: string) =>
      (await workspaces.getWorkspace({ name })).workspace!.secretRefs;
    expect(await refsOf("all")).toBeUndefined();
    expect(await refsOf("none")).toEqual({ names: [] });
    expect(await refsOf("some")).toEqual({ names: ["A", "B"] });
  });

  it("warns of names that do not exist", async () => {
    await acme.set("A", "v");
    await acme.set("GONE", "v");
    await acme.owner.secrets.deleteSecret({ name: "GONE" });
    const { warnings } = await set({ name: "w", secretRefs: { names: ["A", "GONE", "NEVER"] } });
    expect(warnings).toEqual([
      'secret "GONE" in secret_refs does not exist',
      'secret "NEVER" in secret_refs does not exist',
    ]);
  });

  it("refuses what is wrong and lists all of it", async () => {
    const wrong = set({
      name: "A_b",
      description: "x".repeat(1025),
      secretRefs: { names: ["A", "b"] },
      vms: ["ok", "Not"],
      expectedRevision: -1n,
    });
    await expect(wrong).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message:
        'workspace "A_b" must be a DNS label: lowercase letters, digits and hyphens, at most 63',
      violations: [
        "name",
        "description",
        "secret_refs.names[1]",
        "vms[1]",
        "expected_revision",
      ].map((field) => ({ field, description: expect.any(String) as string })),
    });
  });

  it("answers a thousand faults with an error that arrives", async () => {
    const names = Array.from({ length: 1000 }, () => "b".repeat(500));
    await expect(set({ name: "w", secretRefs: { names } })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: ErrorReason.ERROR_REASON_INVALID_FIELD,
    });
  });

  it("refuses another revision than the expected one", async () => {
    await expect(set({ name: "w", expectedRevision: 1n })).rejects.toMatchObject({
      code: "ABORTED",
      reason: ErrorReason.ERROR_REASON_WORKSPACE_CONFLICT,
    });
    await set({ name: "w", expectedRevision: 0n });
    await set({ name: "w", expectedRevision: 1n });
    await expect(set({ name: "w", expectedRevision: 0n })).rejects.toMatchObject({
      code: "ABORTED",
      metadata: { workspace: "w" },
    });
  });
});

describe("ListWorkspaces", () => {
  it("lists by name in pages", async () => {
    for (const name of ["b", "a"]) await set({ name });
    const first = await workspaces.listWorkspaces({ pageSize: 2, pageToken: "" });
    const pageToken = first.nextPageToken;
    const second = await workspaces.listWorkspaces({ pageSize: 2, pageToken });
    const names = [...first.workspaces, ...second.workspaces].map(({ name }) => name);
    expect(names).toEqual(["a", "b", "backend"]);
    await expect(workspaces.listWorkspaces({ pageSize: 0, pageToken: "x" })).rejects.toMatchObject({
      metadata: { field: "page_token" },
    });
  });
});

describe("DeleteWorkspace", () => {
  it("deletes once; then the workspace is not found", async () => {
    await set({ name: "w" });
    await workspaces.deleteWorkspace({ name: "w" });
    const gone = {
      code: "NOT_FOUND",
      message: 'workspace "w" not found',
      reason: ErrorReason.ERROR_REASON_WORKSPACE_NOT_FOUND,
    };
    await expect(workspaces.deleteWorkspace({ name: "w" })).rejects.toMatchObject(gone);
    await expect(workspaces.getWorkspace({ name: "w" })).rejects.toMatchObject(gone);
    const { rows } = await catalog.database.pool.query(
      `select action from catalog.audit where tenant_id = $1 and object_id = 'w' order by id`,
      [acme.id],
    );
    expect(rows).toEqual([{ action: "workspace.set" }, { action: "workspace.delete" }]);
  });

  it("refuses while an agent lives in it", async () => {
    const agent = acme.agent();
    await acme.snapshot(agent);
    await expect(workspaces.deleteWorkspace({ name: "backend" })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: ErrorReason.ERROR_REASON_WORKSPACE_IN_USE,
      message: 'workspace "backend" still has 1 living agent',
    });
    const release = { agentId: agent.agentId, floor: 0n, confirmed: 0n, ended: true };
    await acme.rotation.releaseGenerations({ releases: [release] });
    await workspaces.deleteWorkspace({ name: "backend" });
  });

  it.each(["w", "A_b", ""])("does not find %j", async (name) => {
    await expect(workspaces.deleteWorkspace({ name })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
