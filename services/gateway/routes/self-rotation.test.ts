import { randomUUID } from "node:crypto";
import { type Rest, startTestGateway, type TestGateway } from "../../../test/harness/gateway";

const ROTATE = "/v1/agents/self/rotate-key";
const UUID = /^[0-9a-f-]{36}$/;
const API_KEY = expect.stringMatching(/^mur_agt_[0-9A-Za-z]{49}$/) as string;
const ROTATION_SECRET = expect.stringMatching(/^mur_rot_[0-9A-Za-z]{49}$/) as string;

interface Pair {
  agentId: string;
  name: string;
  apiKey: string;
  rotationSecret: string;
}

describe("an agent that rotates its own key, by REST", () => {
  let gateway: TestGateway;
  let owner: Rest;
  let nobody: Rest;
  let addresses = 0;

  beforeAll(async () => {
    gateway = await startTestGateway({ trustedProxies: ["127.0.0.0/8"] });
    owner = gateway.rest(await gateway.token());
    nobody = gateway.rest(undefined);
  });
  afterAll(() => gateway.stop());

  const newAddress = () => `198.51.100.${++addresses}`;
  const register = async (by = owner, body: unknown = {}, headers = {}) => {
    const path = "/v1/auth/agent-register";
    return by(path, { method: "POST", body, headers });
  };
  const registered = async () => (await register()).json as unknown as Pair;
  const rotate = (
    apiKey: string | null,
    body: unknown,
    { address = newAddress(), headers = {} }: { address?: string; headers?: object } = {},
  ) =>
    nobody(ROTATE, {
      ...{ method: "POST", body, token: apiKey },
      headers: { "x-forwarded-for": address, ...headers },
    });

  it("registers by an admin, and by an invitation, once", async () => {
    const made = await register(owner, { name: "my-research-agent" });
    expect(made).toMatchObject({ status: 201 });
    expect(made.json).toEqual({
      ...{ agentId: expect.stringMatching(UUID) as string, name: "my-research-agent" },
      ...{ apiKey: API_KEY, rotationSecret: ROTATION_SECRET },
    });
    const { json } = await owner("/v1/agent-invitations", { method: "POST", body: {} });
    const invited = gateway.rest(String(json["invitation"]));
    expect(await register(invited)).toMatchObject({
      ...{ status: 201, json: { name: expect.stringMatching(/^agent-/) as string } },
    });
    expect(await register(invited)).toMatchObject({ status: 401 });
    expect(await register(nobody)).toMatchObject({
      ...{ status: 401, json: { error: { code: "UNAUTHENTICATED" } } },
    });
    const member = gateway.rest(await gateway.token({ role: "member", id: "github/bob" }));
    expect(await register(member)).toMatchObject({ status: 403 });
  });

  it("gets a new pair, and both old values are dead at once", async () => {
    const { agentId, name, ...old } = await registered();
    const { status, json } = await rotate(old.apiKey, { rotationSecret: old.rotationSecret });
    expect(status).toBe(200);
    expect(json).toEqual({
      message:
        "API key and rotation secret rotated successfully. Save both — they will not be shown again.",
      ...{ apiKey: API_KEY, rotationSecret: ROTATION_SECRET, agentId, agentName: name },
    });
    const refused = await rotate(old.apiKey, { rotationSecret: old.rotationSecret });
    expect(refused).toMatchObject({
      status: 401,
      json: {
        error: {
          code: "UNAUTHENTICATED",
          message: "Invalid API key or invalid rotation secret",
        },
      },
    });
    const next = json as unknown as Pair;
    expect(await rotate(next.apiKey, { rotationSecret: next.rotationSecret })).toMatchObject({
      status: 200,
    });
  });

  it.each([
    ...[undefined, {}, { rotationSecret: "" }, { rotationSecret: 7 }, { rotationSecret: null }],
    ...[{ rotationSecret: ["mur_rot_x"] }, [], "null", "{", "\u0000"],
  ])("without a rotation secret, %j, is 400", async (body) => {
    const { apiKey } = await registered();
    expect(await rotate(apiKey, body)).toMatchObject({
      status: 400,
      json: { error: { code: "INVALID_ARGUMENT", message: "rotationSecret not provided" } },
    });
  });

  it("that is revoked is 403, and without a key 401", async () => {
    const { agentId, apiKey, rotationSecret } = await registered();
    expect(await owner(`/v1/agents/${agentId}/revoke`, { method: "POST" })).toMatchObject({
      status: 200,
    });
    expect(await rotate(apiKey, { rotationSecret })).toMatchObject({
      status: 403,
      json: {
        error: {
          code: "PERMISSION_DENIED",
          message: "Agent revoked, or no rotation secret configured",
        },
      },
    });
    expect(await rotate(null, { rotationSecret })).toMatchObject({
      ...{ status: 401, headers: expect.anything() as Headers },
      json: { error: { message: "Invalid API key or invalid rotation secret" } },
    });
  });

  it("is answered 429 after three attempts from one address, whatever they were", async () => {
    const { apiKey, rotationSecret } = await registered();
    const address = newAddress();
    const statuses: number[] = [];
    for (const body of ["{", {}, { rotationSecret: "x" }, { rotationSecret }, "{"])
      statuses.push((await rotate(apiKey, body, { address })).status);
    expect(statuses).toEqual([400, 400, 401, 429, 429]);
    const { status, headers, json } = await rotate(apiKey, { rotationSecret }, { address });
    expect({ status, json }).toMatchObject({
      status: 429,
      json: {
        error: {
          code: "RESOURCE_EXHAUSTED",
          message: "Too many rotation attempts (max 3 per 15 minutes)",
        },
      },
    });
    const seconds = Number(headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(800);
    expect(seconds).toBeLessThanOrEqual(900);
    expect((await rotate(apiKey, { rotationSecret })).status).toBe(200);
  });

  it("counts an IPv6 address as its /64", async () => {
    const attempt = async (address: string) =>
      (await rotate(null, { rotationSecret: "x" }, { address })).status;
    for (const last of ["1", "2", "ffff:1"])
      expect(await attempt(`2001:db8:7:7::${last}`)).toBe(401);
    expect(await attempt("2001:db8:7:7:1:2:3:4")).toBe(429);
    expect(await attempt("2001:db8:7:8::1")).toBe(401);
  });

  it("has a lost answer again by the same Idempotency-Key and pair, until the new key is used", async () => {
    const { apiKey, rotationSecret } = await registered();
    const again = { address: newAddress(), headers: { "idempotency-key": randomUUID() } };
    const first = await rotate(apiKey, { rotationSecret }, again);
    for (let n = 0; n < 4; n++)
      expect((await rotate(apiKey, { rotationSecret }, again)).text).toBe(first.text);
    const next = first.json as unknown as Pair;
    const body = { rotationSecret: next.rotationSecret };
    expect((await rotate(next.apiKey, body)).status).toBe(200);
    expect((await rotate(apiKey, { rotationSecret }, again)).status).toBe(401);
  });

  it("keeps its old pair in two phases, and takes no other word for it", async () => {
    const { apiKey, rotationSecret } = await registered();
    for (const confirm of ["later", 7, null])
      expect(await rotate(apiKey, { rotationSecret, confirm })).toMatchObject({ status: 400 });
    const first = await rotate(apiKey, { rotationSecret, confirm: "two-phase" });
    expect(first.status).toBe(200);
    expect((await rotate(apiKey, { rotationSecret, confirm: "two-phase" })).status).toBe(200);
  });

  it("gets a new pair from an admin when it lost both", async () => {
    const { agentId, name, apiKey, rotationSecret } = await registered();
    const path = `/v1/agents/${agentId}/rotate-credentials`;
    const { status, json } = await owner(path, { method: "POST" });
    expect({ status, json }).toEqual({
      status: 200,
      json: { agentId, agentName: name, apiKey: API_KEY, rotationSecret: ROTATION_SECRET },
    });
    expect((await rotate(apiKey, { rotationSecret })).status).toBe(401);
    const member = gateway.rest(await gateway.token({ role: "member", id: "github/bob" }));
    expect((await member(path, { method: "POST" })).status).toBe(404);
    const shown = await owner(`/v1/self-rotating-agents/${agentId}`);
    expect(shown).toMatchObject({
      status: 200,
      json: { agent: { name, reuses: expect.any(Number) as number } },
    });
    expect(shown.text).not.toContain(String(json["apiKey"]));
    const { json: list } = await owner("/v1/self-rotating-agents?page_size=1");
    expect(list["agents"]).toMatchObject([{ agent_id: agentId }]);
  });
});
