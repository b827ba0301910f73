import { AuditOutcome, type ListAuditRecordsRequest } from "../../../gen/murmur/audit/v1/audit";
import { type CatalogClients, startCatalog, type TestCatalog } from "../../../test/harness/catalog";
import { eventually } from "../../../test/harness/eventually";
import { WorkspaceServiceService } from "../../../gen/murmur/catalog/v1/workspaces";
import { issueOperatorToken } from "../../identity/claims";
import { bearerCredentials } from "../../identity/credentials";
import { sensitive } from "../../sensitive";
import { linkHash } from "../record";
import { isSignedBy } from "../checkpoint";

const PAGE = { pageSize: 0, pageToken: "" };
const ALL: ListAuditRecordsRequest = {
  ...{ since: undefined, until: undefined, actor: "", action: "", object: "", ...PAGE },
  outcome: AuditOutcome.AUDIT_OUTCOME_UNSPECIFIED,
};

let catalog: TestCatalog;
let owner: CatalogClients;
let stranger: CatalogClients;
beforeAll(async () => {
  catalog = await startCatalog();
  owner = catalog.clients(catalog.developer({ tenantId: "t1" }));
  stranger = catalog.clients(catalog.developer({ tenantId: "t2" }));
  for (const name of ["A", "B", "C"])
    await owner.workspaces.setWorkspace({
      ...{ name: name.toLowerCase(), description: undefined, secretRefs: undefined, vms: [] },
      expectedRevision: undefined,
    });
  const other = catalog.clients(catalog.developer({ tenantId: "t1", id: "github/bob" }));
  await other.workspaces.deleteWorkspace({ name: "c" });
});
afterAll(() => catalog.stop());

const list = async (change: Partial<ListAuditRecordsRequest> = {}) => {
  const { records } = await owner.audit.listAuditRecords({ ...ALL, ...change });
  return records.map(({ record }) => `${record?.action} ${record?.objectId}`);
};

it("lists who did what to which object, when, from where, with which outcome, newest first", async () => {
  const { records, service } = await owner.audit.listAuditRecords(ALL);
  expect(service).toBe("catalog");
  expect(records.map(({ record }) => record)).toMatchObject([
    { action: "workspace.delete", objectId: "c", actorId: "github/bob" },
    { action: "workspace.set", objectId: "c" },
    { action: "workspace.set", objectId: "b" },
    {
      ...{ action: "workspace.set", objectKind: "workspace", objectId: "a", outcome: "ok" },
      ...{ actorKind: "developer", actorId: "github/alice", detail: '{"revision": 1}' },
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as string,
      peer: expect.stringMatching(/^127\.0\.0\.1/) as string,
    },
  ]);
});

it("finds by actor, action, beginning of an action, object, outcome and time", async () => {
  expect(await list({ actor: "github/bob" })).toEqual(["workspace.delete c"]);
  expect(await list({ action: "workspace.set" })).toHaveLength(3);
  expect(await list({ action: "workspace." })).toHaveLength(4);
  expect(await list({ action: "workspace" })).toEqual([]);
  expect(await list({ object: "c", action: "workspace.set" })).toEqual(["workspace.set c"]);
  expect(await list({ outcome: AuditOutcome.AUDIT_OUTCOME_REFUSED })).toEqual([]);
  const hour = (hours: number) => new Date(Date.now() + hours * 3_600_000);
  expect(await list({ since: hour(-2), until: hour(2) })).toHaveLength(4);
  expect(await list({ since: hour(2) })).toEqual([]);
  expect(await list({ until: hour(-2) })).toEqual([]);
});

it("gives pages that join without a gap", async () => {
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await owner.audit.listAuditRecords({ ...ALL, pageSize: 1, pageToken });
    found.push(...page.records.map(({ record }) => record?.objectId ?? ""));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(found).toEqual(["c", "c", "b", "a"]);
});

it("gives links, checkpoints and keys by which anybody can check the chain", async () => {
  await eventually(async () => {
    const { checkpoints } = await owner.audit.listAuditCheckpoints(PAGE);
    expect(checkpoints.at(-1)?.size).toBe(4n);
  });
  const { links, service, tenantId } = await owner.audit.listAuditLinks({
    ...PAGE,
    afterSequence: 0n,
  });
  const chain = { service, tenantId };
  let previous: Buffer = Buffer.alloc(0);
  for (const link of links) {
    if (!link.record) throw new Error("a link without its record");
    expect(link.hash).toEqual(linkHash(chain, link, previous, link.record));
    previous = link.hash;
  }
  const { keys } = await owner.audit.listAuditKeys({});
  expect(keys.map(({ keyId }) => keyId)).toEqual([catalog.catalogKey.kid]);
  const { checkpoints } = await owner.audit.listAuditCheckpoints(PAGE);
  const last = checkpoints.at(-1);
  expect(last?.head).toEqual(previous);
  expect(last && isSignedBy(catalog.catalogKey.publicKey, chain, last)).toBe(true);
  expect(await owner.audit.listUnsealedAuditRecords(PAGE)).toMatchObject({ records: [] });
  const behind = await owner.audit.listAuditLinks({ ...PAGE, pageSize: 1, afterSequence: 2n });
  expect(behind.links.map(({ sequence }) => sequence)).toEqual([3n]);
});

it("shows a tenant nothing of another, also with its page token", async () => {
  const { nextPageToken } = await owner.audit.listAuditRecords({ ...ALL, pageSize: 1 });
  const theirs = { ...ALL, pageToken: nextPageToken };
  expect((await stranger.audit.listAuditRecords(theirs)).records).toEqual([]);
  expect((await stranger.audit.listAuditLinks({ ...PAGE, afterSequence: 0n })).links).toEqual([]);
  expect((await stranger.audit.listUnsealedAuditRecords(PAGE)).records).toEqual([]);
  expect((await stranger.audit.listAuditCheckpoints(PAGE)).checkpoints).toEqual([]);
});

it("shows an operator what is nobody's, and nothing of a tenant", async () => {
  const token = sensitive(
    await issueOperatorToken(catalog.rotationKey, { operator: "github/dana", ttlSeconds: 60 }),
  );
  const operator = catalog.clients(bearerCredentials(token));
  await expect(catalog.clients().workspaces.getWorkspace({ name: "a" })).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
  });
  await eventually(async () => {
    const { records } = await operator.audit.listAuditRecords(ALL);
    expect(records.map(({ record }) => record?.objectId)).toEqual([
      WorkspaceServiceService.getWorkspace.path,
    ]);
    const { checkpoints } = await operator.audit.listAuditCheckpoints(PAGE);
    expect(checkpoints.at(-1)?.size).toBe(1n);
  });
  const { links, tenantId } = await operator.audit.listAuditLinks({ ...PAGE, afterSequence: 0n });
  expect({ links: links.length, tenantId }).toEqual({ links: 1, tenantId: "" });
  const { keys } = await operator.audit.listAuditKeys({});
  expect(keys).toHaveLength(1);
});

it("is not for members", async () => {
  const member = catalog.clients(catalog.developer({ tenantId: "t1", role: "member" }));
  await expect(member.audit.listAuditRecords(ALL)).rejects.toMatchObject({
    code: "PERMISSION_DENIED",
  });
});

it.each<[string, Partial<ListAuditRecordsRequest>]>([
  ["page_size", { pageSize: 1001 }],
  ["page_token", { pageToken: "x" }],
  ["actor", { actor: "a\0b" }],
])("names %s when it is wrong", async (field, change) => {
  await expect(owner.audit.listAuditRecords({ ...ALL, ...change })).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    violations: [{ field }],
  });
});
