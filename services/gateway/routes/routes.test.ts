import fc from "fast-check";
import { issueOperatorToken } from "../../../lib/identity/claims";
import { hashesOf, newKey } from "../../../test/harness/bindings";
import {
  type Rest,
  type RestResponse,
  startTestGateway,
  type TestGateway,
} from "../../../test/harness/gateway";
import { type FakeIssuer, startFakeIssuer } from "../../../test/fakes/fake-issuer";
import { type SchemaDocument, schemaChecker, valuesOf } from "../../../test/harness/json-schema";
import type { TestVm } from "../../../test/harness/catalog";
import type { Route } from "./route";

let gateway: TestGateway;
let provider: FakeIssuer;
let owner: Rest;
let vm: TestVm;
let document: SchemaDocument;
let check: ReturnType<typeof schemaChecker>;

beforeAll(async () => {
  provider = await startFakeIssuer();
  gateway = await startTestGateway({
    signIn: {
      ...{ issuer: provider.issuer, clientId: "murmur-cli", scopes: ["openid"] },
      naming: { provider: "corp", claim: "email", domain: "example.com" },
      ...{ newcomers: undefined, sessionSeconds: 3_600 },
    },
  });
  owner = gateway.rest(await gateway.token());
  vm = await gateway.catalog.joinVm("t1", "vm-1");
  document = gateway.gateway.document as unknown as SchemaDocument;
  check = schemaChecker(document);
});
afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

/** Answers seen, by operation and status. */
const seen = new Set<string>();

/** Calls an operation, and holds its answer against what is documented of it. */
async function call(
  operationId: string,
  {
    params = {},
    query = "",
    ...rest
  }: {
    params?: Record<string, string>;
    query?: string;
    body?: unknown;
    headers?: Record<string, string>;
    token?: string | null;
  } = {},
): Promise<RestResponse> {
  const route = routeOf(operationId);
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(params[name] ?? "?"),
  );
  const answer = await owner(path + query, { method: route.method, ...rest });
  const documented = route.answers[answer.status];
  expect({ operationId, status: answer.status, text: answer.text, documented }).toMatchObject({
    documented: expect.anything() as unknown,
  });
  const isJson = documented?.schema && documented.mediaType === undefined;
  if (isJson) expect(errorsOf(documented.schema ?? {}, answer.json)).toEqual([]);
  if (answer.status === 204) expect(answer.text).toBe("");
  seen.add(`${operationId} ${answer.status}`);
  return answer;
}

function routeOf(operationId: string): Route {
  const route = gateway.gateway.routes.find((it) => it.operationId === operationId);
  if (!route) throw new Error(`no operation ${operationId}`);
  return route;
}

function errorsOf(schema: Readonly<Record<string, unknown>>, value: unknown): string[] {
  const validate = check(schema);
  return validate(value) ? [] : (validate.errors ?? []).map((it) => JSON.stringify(it));
}

const field = (answer: RestResponse, ...names: string[]): string =>
  names.reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], answer.json) as string;

it("answers as documented, each route with every success that it has", async () => {
  const name = { name: "NPM_TOKEN" };
  await call("setSecret", {
    params: name,
    body: { plaintext_value: "1", delivery: "environment" },
  });
  await call("setSecret", { params: name, body: { plaintext_value: "2" } });
  await call("importSecrets", { body: { secrets: [{ name: "OTHER", plaintext_value: "3" }] } });
  await call("getSecret", { params: name });
  await call("listSecrets", { query: "?page_size=1" });
  await call("listSecretVersions", { params: name });
  await call("destroySecretVersion", { params: { ...name, version: "1" }, body: { force: false } });

  const developer = { provider: "github", username: "alice" };
  await call("setUser", { params: developer, body: { github_token_secret: "TOKEN" } });
  await call("getUser", { params: developer });
  await call("listUsers");
  const own = { ...developer, name: "TOKEN" };
  await call("setUserSecret", { params: own, body: { plaintext_value: "1" } });
  await call("getUserSecret", { params: own });
  await call("listUserSecrets", { params: developer });
  await call("listUserSecretVersions", { params: own });
  await call("deleteUserSecret", { params: own });
  await call("deleteUser", { params: developer });

  await call("setWorkspace", { params: { name: "backend" }, body: { vms: ["vm-1"] } });
  await call("setWorkspace", { params: { name: "empty" }, body: { secret_refs: { names: [] } } });
  await call("getWorkspace", { params: { name: "backend" } });
  await call("listWorkspaces");
  await call("deleteWorkspace", { params: { name: "empty" } });

  await call("listVms");
  await call("issueJoinToken", { params: { name: "vm-2" } });
  await call("listVmStatuses");

  const workspace = { workspace: "backend" };
  const spawn = {
    slug: "fix-auth",
    command: ["sleep", "1d"],
    settings: { layers_off: ["python"] },
  };
  const key = { "idempotency-key": "spawn-once-spawn-once-1" };
  const spawned = await call("spawnAgent", { params: workspace, body: spawn, headers: key });
  const again = await call("spawnAgent", { params: workspace, body: spawn, headers: key });
  expect(field(again, "agent", "agent_id")).toBe(field(spawned, "agent", "agent_id"));
  const agentId = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
  const secrets = [{ name: "FOR_ONE", plaintext_value: "4" }];
  await call("storeSpawnSecrets", { params: { agent_id: agentId }, body: { secrets } });
  const agent = { ...workspace, path: "fix-auth" };
  await call("getAgent", { params: agent });
  await call("listAgents", { params: workspace });
  const all = await call("listAgents", { params: { workspace: "-" } });
  expect(all.json["agents"]).toHaveLength(1);
  await call("explainAgent", { params: agent });
  await call("listHolders", { params: { secret_name: "NPM_TOKEN" } });

  await call("previewRekey", { body: { selection: { ...workspace, all: true } } });
  const rekeyed = await call("rekeyAgents", {
    body: { selection: { ...workspace, path: "fix-auth" }, reason: "a test" },
  });
  const rollout = { rollout_id: field(rekeyed, "rollout", "rollout_id") };
  await call("rekeyAgent", { params: agent });
  await call("getRollout", { params: rollout });
  await call("listRollouts");
  await call("listRolloutProcesses", { params: rollout });
  await call("rollbackRollout", { params: rollout, body: { reason: "a test" } });
  await call("killAgent", { params: agent });

  for (const [suffix, more] of [
    ["Key", { scopes: ["GET /v1/secrets"] }],
    ["Token", { agent_name: "fix-auth" }],
  ] as const) {
    const body = { label: "ci", expires_at: "2999-01-01T00:00:00Z", ...more };
    const made = await call(`create${suffix}`, { body });
    const id = { credential_id: field(made, "credential", "credential_id") };
    await call(`get${suffix}`, { params: id });
    await call(`list${suffix}s`, { query: "?include_ended=true" });
    await call(`rotate${suffix}`, { params: id, body: { grace_seconds: 3600 } });
    await call(`revoke${suffix}`, { params: id, body: { at: new Date().toISOString() } });
  }

  const [old, next] = [hashesOf(newKey()), hashesOf(newKey())];
  const bound = await call("observeKey", { body: { agent_hash: old.hash, name: "" } });
  const shadow = await call("observeKey", { body: { agent_hash: next.hash } });
  const boundId = { agent_id: field(bound, "agent_id") };
  const history = { traces: 1, scores: 2, trust_edges: 3 };
  await call("recordHistory", { params: boundId, body: { history } });
  await call("claimAgent", { params: boundId, body: { hash_proof: old.proof } });
  await call("verifyBinding", { params: boundId, body: { key_hash: old.hash } });
  const rebind = { params: boundId, body: { new_key_hash: next.hash, key_prefix: next.prefix } };
  const conflict = await call("rebindAgent", rebind);
  const shadowId = { agent_id: field(conflict, "conflict_agent_id") };
  expect(shadowId.agent_id).toBe(field(shadow, "agent_id"));
  await call("deactivateAgent", { params: shadowId, body: { hash_proof: next.proof } });
  expect((await call("rebindAgent", rebind)).status).toBe(200);
  await call("getBoundAgent", { params: boundId });
  await call("listBoundAgents", { query: "?include_deactivated=true&agents_of=everybody" });

  await call("inviteAgent");
  const registered = await call("registerAgent", { body: { name: "my-coder" } });
  const selfId = { agent_id: field(registered, "agentId") };
  await call("rotateSelf", {
    token: field(registered, "apiKey"),
    body: { rotationSecret: field(registered, "rotationSecret") },
  });
  await call("rotateAgentCredentials", { params: selfId });
  await call("getRegisteredAgent", { params: selfId });
  await call("listRegisteredAgents");
  const autoRotation = { every: { seconds: 86_400 }, workspace: "backend" };
  const turned = { params: selfId, body: { auto_rotation: autoRotation } };
  expect((await call("setAutoRotation", turned)).json).toMatchObject({
    agent: { auto_rotation: { ...autoRotation, path: "my-coder" } },
  });
  const off = await call("endAutoRotation", { params: selfId });
  expect(off.json["agent"]).not.toHaveProperty("auto_rotation");
  await call("revokeAgent", { params: selfId });

  const alice = { provider: "corp", username: "alice" };
  await call("addPerson", { body: { developer: "corp/alice", role: "member" } });
  await call("setPersonRole", { params: alice, body: { role: "admin" } });
  await call("listPeople", { query: "?page_size=10" });
  await call("getSignIn", { token: null });
  const idToken = await provider.idToken();
  const body = { id_token: idToken, tenant_id: "t1" };
  const signedIn = await call("exchangeToken", { token: null, body });
  const who = await owner("/v1/identity", { token: field(signedIn, "token") });
  expect(who.json).toMatchObject({ developer: "corp/alice", role: "admin" });
  expect((await owner("/v1/people", { token: null })).status).toBe(401);
  await call("removePerson", { params: alice });

  const kept = async () => {
    const { headers } = await call("createSession");
    const cookie = headers.get("set-cookie")?.split(";")[0] ?? "";
    return { token: null, headers: { cookie, "x-murmur-dashboard": "1", origin: gateway.url } };
  };
  const session = await kept();
  await call("getSession", session);
  const { json } = await call("listSessions", session);
  const [latest] = json["sessions"] as { session_id: string }[];
  await call("revokeSession", { params: { session_id: latest?.session_id ?? "" } });
  await call("endSession", await kept());
  await call("revokeAllSessions", await kept());

  expect((await call("rotateKeyEncryptionKey", { body: {} })).json).toMatchObject({
    rotation: { number: 1, requested_by: "github/alice", made_key: true, data_keys: 1 },
  });
  expect((await call("getEncryption")).json).toMatchObject({
    ...{ key_provider: "local", data_keys: 1, waiting_data_keys: 0 },
  });

  const confirmed = { query: "?confirm_tenant=t9", token: await gateway.token({ tenantId: "t9" }) };
  const headers = { "idempotency-key": "delete-t9-delete-t9-delete" };
  expect((await call("deleteTenant", { ...confirmed, headers })).json).toMatchObject({
    deletion: { tenant_id: "t9", stage: "ending", requested_by: "github/alice" },
  });
  expect((await owner("/v1/people", confirmed)).status).toBe(401);
  const dana = { operator: "github/dana", ttlSeconds: 60 };
  const operator = await issueOperatorToken(gateway.catalog.rotationKey, dana);
  const ofNobody = "/v1/audit/rotation/records?action=tenant.delete";
  expect((await owner(ofNobody, { token: operator })).json).toMatchObject({
    records: [{ record: { object_kind: "tenant", object_id: "t9", actor_id: "github/alice" } }],
  });
  expect((await owner(ofNobody)).json).toMatchObject({ records: [] });
  expect((await owner("/v1/people", { token: operator })).status).toBe(403);
  const deletion = { ...confirmed, query: "", headers };
  expect((await call("getTenantDeletion", deletion)).json).toMatchObject({
    deletion: { tenant_id: "t9", agents_living: 0, waiting_vms: [] },
  });

  for (const service of ["Catalog", "Rotation"]) {
    const found = await call(`list${service}AuditRecords`, { query: "?page_size=1" });
    expect(found.json).toMatchObject({ service: service.toLowerCase(), next_page_token: /./ });
    await call(`list${service}AuditLinks`, { query: "?after_sequence=1" });
    for (const list of ["UnsealedAuditRecords", "AuditCheckpoints", "AuditKeys"])
      await call(`list${service}${list}`);
  }

  await call("getIdentity");
  await call("renewIdentityToken");
  await call("revokeSecret", { params: name });
  await call("deleteSecret", { params: { name: "OTHER" } });
  await call("removeVm", { params: { name: vm.name } });

  const documented = gateway.gateway.routes
    // Event streams are in rollout-events.test.ts.
    .filter(({ operationId }) => operationId !== "watchRollout")
    .flatMap(({ operationId, answers }) =>
      Object.keys(answers).map((status) => `${operationId} ${status}`),
    );
  expect([...seen].sort()).toEqual(documented.sort());
});

/** Of arbitrary requests; another with MURMUR_SEED. */
const SEED = Number(process.env["MURMUR_SEED"] ?? "1");

describe("the document", () => {
  it("is served as it is, to everybody, with one operation for each route", async () => {
    const { status, json } = await owner("/openapi.json", { token: null });
    expect({ status, json }).toEqual({ status: 200, json: gateway.gateway.document });
    const ids = gateway.gateway.routes.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("has schemas that are schemas, and refers to none that it has not", () => {
    const refs = JSON.stringify(document).match(/#\/components\/schemas\/\w+/g) ?? [];
    const names = Object.keys(document.components.schemas);
    for (const ref of refs) expect(names).toContain(ref.slice("#/components/schemas/".length));
    for (const schema of Object.values(document.components.schemas))
      expect(() => check(schema)).not.toThrow();
  });
});

/** What can be sent as UTF-8. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

/** Requests that the document takes, for one route. */
function requestsFor(route: Route): fc.Arbitrary<{ path: string; body?: unknown }> {
  const text = (schemas: Route["params"]) =>
    valuesOf(document, { type: "object", properties: schemas }).map((it) => it as object);
  const params = valuesOf(document, {
    ...{ type: "object", properties: route.params, required: Object.keys(route.params) },
  });
  const body = route.body ? valuesOf(document, route.body) : fc.constant(undefined);
  return fc
    .record({ params: params as fc.Arbitrary<object>, query: text(route.query ?? {}), body })
    .map(({ params: given, query, body: sent }) => {
      const asTexts = (it: object) =>
        Object.entries(it).map(([name, value]): [string, string] => [
          name,
          wellFormed(String(value)),
        ]);
      const values = new Map(asTexts(given));
      const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
        // An empty part, or one of dots, is another path.
        encodeURIComponent(values.get(name)?.replace(/^\.*$/, "x") ?? "x"),
      );
      const search = new URLSearchParams(asTexts(query));
      return { path: `${path}?${search.toString()}`, ...(sent !== undefined && { body: sent }) };
    });
}

describe("every route", () => {
  it("is for nobody without a credential, and tells what it is in the way of errors", async () => {
    const error = document.components.schemas["Error"] ?? {};
    // With which provider people sign in is for everybody, and a deletion for who has its request id.
    const open = ["getSignIn", "getTenantDeletion"];
    const guarded = gateway.gateway.routes.filter((it) => !open.includes(it.operationId));
    for (const route of guarded) {
      const [request] = fc.sample(requestsFor(route), { numRuns: 1, seed: 1 });
      const { method } = route;
      const answer = await owner(request!.path, { ...request, method, token: null });
      // What the schema alone cannot say is looked at first.
      expect([400, 401]).toContain(answer.status);
      expect(errorsOf(error, answer.json)).toEqual([]);
    }
  });

  it("answers whatever fits its schemas, and whatever does not, with no error of its own", async () => {
    const junk = fc.oneof(fc.json(), fc.string(), fc.string({ unit: "binary" }));
    for (const route of gateway.gateway.routes) {
      if (route.operationId === "watchRollout") continue;
      const { method } = route;
      await fc.assert(
        fc.asyncProperty(requestsFor(route), fc.option(junk), async (request, garbled) => {
          const body = garbled !== null && route.body ? wellFormed(garbled) : request.body;
          const answer = await owner(request.path, { method, ...(body !== undefined && { body }) });
          if (answer.status >= 500) throw new Error(`${answer.status} ${answer.text}`);
          if (answer.status >= 400)
            expect(answer.json).toMatchObject({ error: { code: expect.any(String) as string } });
        }),
        { numRuns: 8, seed: SEED },
      );
    }
    expect((await owner("/healthz")).status).toBe(200);
  });
});
