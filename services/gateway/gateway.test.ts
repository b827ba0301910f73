import { readCredentialValue } from "../../lib/identity/credential-value";
import { sensitive } from "../../lib/sensitive";
import { type Rest, restAt, startTestGateway, type TestGateway } from "../../test/harness/gateway";

let gateway: TestGateway;
let owner: Rest;

beforeAll(async () => {
  gateway = await startTestGateway({ trustedProxies: ["127.0.0.0/8"] });
  owner = gateway.rest(await gateway.token());
});
afterAll(() => gateway.stop());

interface Shown {
  credential: { credential_id: string; state: string };
  value: string;
}

async function makeKey(scopes: string[] = []): Promise<Shown> {
  const { json } = await owner("/v1/keys", { method: "POST", body: { label: "ci", scopes } });
  return json as unknown as Shown;
}

describe("secrets", () => {
  it("are written, listed and ended, and no answer has a value", async () => {
    const plaintext = "npm-value-1";
    const put = await owner("/v1/secrets/NPM_TOKEN", {
      method: "PUT",
      body: { plaintext_value: plaintext, delivery: "file", description: "of npm" },
    });
    expect(put).toMatchObject({
      status: 200,
      json: { secret: { name: "NPM_TOKEN", version: 1, delivery: "file", description: "of npm" } },
    });
    const answers = [
      put,
      await owner("/v1/secrets"),
      await owner("/v1/secrets/NPM_TOKEN/versions"),
    ];
    expect(answers.map(({ text }) => text).join()).not.toContain(plaintext);
    const gone = await owner("/v1/secrets/NPM_TOKEN?expected_version=1", { method: "DELETE" });
    expect(gone).toMatchObject({ status: 204, text: "" });
    expect(await owner("/v1/secrets/NPM_TOKEN")).toMatchObject({
      status: 404,
      json: { error: { code: "NOT_FOUND", details: { reason: "SECRET_NOT_FOUND" } } },
    });
  });

  it("are written once for one Idempotency-Key", async () => {
    const put = (value: string) =>
      owner("/v1/secrets/ONCE", {
        ...{ method: "PUT", body: { plaintext_value: value } },
        headers: { "idempotency-key": "0123456789-0123456789-01" },
      });
    expect([(await put("a")).text, (await put("a")).text]).toEqual([
      expect.stringContaining('"version":1'),
      expect.stringContaining('"version":1'),
    ]);
    expect(await put("b")).toMatchObject({
      json: { error: { details: { reason: "REQUEST_ID_REUSED" } } },
    });
  });

  it("take bytes that are no text as base64", async () => {
    const put = await owner("/v1/secrets/KEYSTORE", {
      ...{ method: "PUT", body: { plaintext_value_base64: "/v8=", delivery: "file" } },
    });
    expect(put.status).toBe(200);
  });
});

describe("API keys", () => {
  it("are made, and rotated with a grace period in which both are good", async () => {
    const first = await makeKey();
    expect(readCredentialValue(sensitive(first.value))).toBeDefined();
    const id = first.credential.credential_id;
    const rotated = await owner(`/v1/keys/${id}/rotate`, {
      ...{ method: "POST", body: { grace_seconds: 900 } },
    });
    expect(rotated).toMatchObject({ status: 200, json: { replaced: { state: "in_grace" } } });
    for (const value of [first.value, rotated.json["value"] as string])
      expect((await gateway.rest(value)("/v1/identity")).status).toBe(200);
    const ended = await owner(`/v1/keys/${id}/revoke`, { method: "POST" });
    expect(ended).toMatchObject({ status: 200, json: { credential: { state: "revoked" } } });
    expect((await gateway.rest(first.value)("/v1/identity")).status).toBe(401);
  });

  it.each([
    undefined,
    {},
    { grace_seconds: 60 },
    { grace_seconds: "900" },
    { grace_seconds: null },
  ])("are not rotated with %j: the answer lists the grace periods", async (body) => {
    const { credential } = await makeKey();
    const path = `/v1/keys/${credential.credential_id}/rotate`;
    const { status, json } = await owner(path, { method: "POST", body });
    expect(status).toBe(400);
    expect(json).toMatchObject({ error: { code: "INVALID_ARGUMENT" } });
    expect(JSON.stringify(json)).toContain("0, 900, 3600, 21600, 86400, 259200, 604800");
  });

  it("are not found among agent tokens", async () => {
    const { credential } = await makeKey();
    const body = { grace_seconds: 0 };
    for (const [method, path] of [
      ["GET", ""],
      ["POST", "/rotate"],
      ["POST", "/revoke"],
    ] as const) {
      const asked = `/v1/tokens/${credential.credential_id}${path}`;
      const answer = await owner(asked, { method, ...(path === "/rotate" && { body }) });
      expect(answer).toMatchObject({ status: 404 });
    }
    const still = await owner(`/v1/keys/${credential.credential_id}`);
    expect(still).toMatchObject({ json: { credential: { state: "active" } } });
  });

  it("do what their scopes name, by route or by method, and nothing else", async () => {
    const byRoute = gateway.rest((await makeKey(["GET /v1/secrets*"])).value);
    const byMethod = gateway.rest(
      (await makeKey(["murmur.catalog.v1.SecretService/ListSecrets"])).value,
    );
    for (const key of [byRoute, byMethod]) {
      expect((await key("/v1/secrets")).status).toBe(200);
      expect(await key("/v1/rollouts")).toMatchObject({
        json: { error: { code: "PERMISSION_DENIED" } },
      });
    }
    const put = { method: "PUT", body: { plaintext_value: "x" } };
    expect((await byRoute("/v1/secrets/SCOPED", put)).status).toBe(403);
  });

  it("are not let in by another spelling of a path", async () => {
    const key = gateway.rest((await makeKey(["GET /v1/secrets/OPEN_*"])).value);
    expect((await key("/v1/secrets/%4FPEN_ONE")).status).toBe(404);
    expect((await key("/v1/secrets/CLOSED")).status).toBe(403);
    expect((await key("/v1/secrets/OPEN_%2F..%2FCLOSED")).status).not.toBe(200);
  });

  it("with scopes of routes open no RPC without the gateway", async () => {
    const { value } = await makeKey(["GET /v1/secrets*"]);
    const metadata = { authorization: `Bearer ${value}`, "murmur-vouch": "GET /v1/secrets" };
    const direct = gateway.catalog.clients(() => Promise.resolve(metadata));
    await expect(direct.secrets.listSecrets({ pageSize: 0, pageToken: "" })).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
    });
  });
});

describe("the client's address", () => {
  const peers = async (label: string) => {
    const { rows } = await gateway.rotation.pool.query<{ peer: string }>(
      `select a.peer from rotation.audit a join rotation.credentials c on a.object_id = c.credential_id::text
       where c.label = $1`,
      [label],
    );
    return rows.map(({ peer }) => peer);
  };
  const make = (rest: Rest, label: string, forwarded?: string) =>
    rest("/v1/keys", {
      ...{ method: "POST", body: { label } },
      ...(forwarded !== undefined && { headers: { "x-forwarded-for": forwarded } }),
    });

  it("is in the audit, as a configured proxy forwards it", async () => {
    await make(owner, "forwarded-4", "198.51.100.1, 203.0.113.7");
    await make(owner, "forwarded-6", "2001:DB8::7");
    await make(owner, "direct");
    expect(await peers("forwarded-4")).toEqual(["203.0.113.7"]);
    expect(await peers("forwarded-6")).toEqual(["[2001:db8::7]"]);
    expect(await peers("direct")).toEqual(["127.0.0.1"]);
  });

  it("is not what a client forwards itself", async () => {
    const other = await startTestGateway({ beside: gateway });
    await make(restAt(other.url, await gateway.token()), "forged", "203.0.113.7");
    await other.stop();
    expect(await peers("forged")).toEqual(["127.0.0.1"]);
  });
});
