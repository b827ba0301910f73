import { randomUUID } from "node:crypto";
import { hashesOf, newKey } from "../../../test/harness/bindings";
import {
  type Rest,
  type RestResponse,
  startTestGateway,
  type TestGateway,
} from "../../../test/harness/gateway";

let gateway: TestGateway;
/** The operator, who is an admin. */
let operator: Rest;
let accounts = 0;

beforeAll(async () => {
  gateway = await startTestGateway();
  operator = gateway.rest(await gateway.token({ id: "github/operator", role: "admin" }));
});
afterAll(() => gateway.stop());

const account = async (tenantId = "t1") => {
  const id = `github/dev-${accounts++}`;
  return gateway.rest(await gateway.token({ id, role: "member", tenantId }));
};
const post = (by: Rest, path: string, body: unknown) => by(path, { method: "POST", body });
const observe = async (key: string, name = "") => {
  const { hash, prefix } = hashesOf(key, name);
  const body = { agent_hash: hash, name, ...(prefix !== "" && { key_prefix: prefix }) };
  const { status, json } = await post(operator, "/v1/observations", body);
  expect({ status, json }).toMatchObject({
    status: 200,
    json: { agent_id: expect.any(String) as string },
  });
  return `/v1/agents/${String(json["agent_id"])}`;
};
const agentOf = async (by: Rest, key: string, name = "") => {
  const agent = await observe(key, name);
  const { status } = await post(by, `${agent}/claim`, { hash_proof: hashesOf(key, name).proof });
  expect(status).toBe(200);
  return agent;
};
const idOf = (agent: string) => agent.slice("/v1/agents/".length);
const error = (code: string, message?: string) => ({
  error: expect.objectContaining({ code, ...(message !== undefined && { message }) }) as unknown,
});

describe("POST /v1/agents/{agent_id}/rekey", () => {
  it("answers what the specification shows, with and without a prefix, again and again", async () => {
    const by = await account();
    const agent = await agentOf(by, newKey(), "my-coder");
    const { hash, prefix } = hashesOf(newKey(), "my-coder");
    const rekeyed = {
      success: true,
      agent_id: idOf(agent),
      rekeyed_at: expect.any(String) as string,
    };
    const body = { new_key_hash: hash, key_prefix: prefix };
    const first = await post(by, `${agent}/rekey`, body);
    expect({ status: first.status, json: first.json }).toEqual({
      ...{ status: 200, json: { ...rekeyed, key_prefix: prefix } },
    });
    expect((await post(by, `${agent}/rekey`, body)).json).toEqual(first.json);
    const bare = await post(by, `${agent}/rekey`, { new_key_hash: hashesOf(newKey()).hash });
    expect({ status: bare.status, json: bare.json }).toEqual({ status: 200, json: rekeyed });
    expect((await by(agent)).json).toMatchObject({ rekey_count: 2, key_prefix: "" });
  });

  it("400: what is no hash is named and not shown", async () => {
    const by = await account();
    const agent = await agentOf(by, newKey());
    const pasted = newKey();
    const wrong = [
      "",
      pasted,
      hashesOf(pasted).hash.toUpperCase(),
      hashesOf(pasted).proof,
      7,
      null,
    ];
    for (const new_key_hash of [...wrong, undefined]) {
      const { status, json, text } = await post(by, `${agent}/rekey`, { new_key_hash });
      expect({ status, json }).toMatchObject({
        ...{ status: 400, json: { error: { details: { fields: [{ field: "new_key_hash" }] } } } },
      });
      expect(text).not.toContain(pasted.slice(16));
    }
  });

  it("401, 403 and 404: another tenant's agent is like one that is not there", async () => {
    const [owner, other, stranger] = [await account(), await account(), await account("t2")];
    const agent = await agentOf(owner, newKey());
    const unclaimed = await observe(newKey());
    const body = { new_key_hash: hashesOf(newKey()).hash };
    const said = async (by: Rest, path: string) => {
      const { status, text } = await post(by, `${path}/rekey`, body);
      return { status, text: text.replaceAll(idOf(path), "ID") };
    };
    expect((await said(gateway.rest(undefined), agent)).status).toBe(401);
    for (const [by, path] of [
      [other, agent],
      [operator, agent],
      [owner, unclaimed],
    ] as const)
      expect((await said(by, path)).status).toBe(403);
    const nowhere = await said(stranger, `/v1/agents/${randomUUID()}`);
    expect(nowhere).toMatchObject({ status: 404 });
    expect(await said(stranger, agent)).toEqual(nowhere);
  });

  it("409: names the agent that has the key at the top, only where the caller may know", async () => {
    const [owner, other] = [await account(), await account()];
    const agent = await agentOf(owner, newKey());
    const [shadow, taken] = [newKey(), newKey()];
    const unclaimed = await observe(shadow);
    await agentOf(other, taken);
    const conflict = error("ALREADY_EXISTS", "new key is already bound to another agent");
    const rekey = (key: string) =>
      post(owner, `${agent}/rekey`, { new_key_hash: hashesOf(key).hash });
    const known = await rekey(shadow);
    expect({ status: known.status, json: known.json }).toEqual({
      ...{ status: 409, json: { ...conflict, conflict_agent_id: idOf(unclaimed) } },
    });
    const hidden = await rekey(taken);
    expect({ status: hidden.status, json: hidden.json }).toEqual({ status: 409, json: conflict });
  });

  it("429: the eleventh of an hour, with the seconds to wait", async () => {
    const by = await account();
    const agent = await agentOf(by, newKey());
    const rekey = () => post(by, `${agent}/rekey`, { new_key_hash: hashesOf(newKey()).hash });
    for (let n = 0; n < 10; n++) expect((await rekey()).status).toBe(200);
    const { status, json, headers } = await rekey();
    expect({ status, json }).toEqual({
      ...{ status: 429, json: error("RESOURCE_EXHAUSTED", "Too many rebinds (max 10 per hour)") },
    });
    const seconds = Number(headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(3000);
    expect(seconds).toBeLessThanOrEqual(3600);
  });
});

it("POST …/verify-binding answers bound and the prefix; a mismatch is no error", async () => {
  const by = await account();
  const key = newKey();
  const agent = await agentOf(by, key);
  const verify = (key_hash: string) => post(by, `${agent}/verify-binding`, { key_hash });
  const key_prefix = key.slice(0, 16);
  const answers = [await verify(hashesOf(key).hash), await verify(hashesOf(newKey()).hash)];
  expect(answers.map(({ status, json }) => ({ status, json }))).toEqual([
    { status: 200, json: { bound: true, key_prefix } },
    { status: 200, json: { bound: false, key_prefix } },
  ]);
});

it("GET /v1/agents/{agent_id} shows name, prefix, rekeyed_at, rekey_count and claimed, and no hash", async () => {
  const by = await account();
  const key = newKey();
  const agent = await observe(key, "my-coder");
  const { hash, proof, prefix } = hashesOf(key, "my-coder");
  const shown = async (call: Promise<RestResponse>) => {
    const { status, json, text } = await call;
    expect(text).not.toContain(hash);
    return { status, json };
  };
  const unclaimed = {
    ...{ agent_id: idOf(agent), name: "my-coder", key_prefix: prefix, bound: true },
    ...{ claimed: false, owner: "", rekey_count: 0 },
    ...{ history: { traces: 0, scores: 0, trust_edges: 0 } },
    ...{ created_at: expect.any(String) as string, observed_at: expect.any(String) as string },
  };
  expect(await shown(by(agent))).toEqual({ status: 200, json: unclaimed });
  const claimed = { ...unclaimed, claimed: true, owner: expect.any(String) as string };
  expect(await shown(post(by, `${agent}/claim`, { hash_proof: proof }))).toEqual({
    ...{ status: 200, json: claimed },
  });
  const { hash: next } = hashesOf(newKey(), "my-coder");
  const { json } = await post(by, `${agent}/rekey`, { new_key_hash: next });
  expect((await shown(by(agent))).json).toMatchObject({
    ...{ rekey_count: 1, rekeyed_at: json["rekeyed_at"], claimed: true, key_prefix: "" },
  });
  expect(await shown(by("/v1/agents?name=my-coder"))).toMatchObject({
    ...{ status: 200, json: { agents: [{ agent_id: idOf(agent) }], next_page_token: "" } },
  });
  expect(await shown(by("/v1/agents?name="))).toMatchObject({ json: { agents: [] } });
});

it("recovery: 409, deactivate with the proof, rekey; one with history is claimed first", async () => {
  const by = await account();
  const [key, old] = [newKey(), newKey()];
  const agent = await agentOf(by, newKey());
  const shadow = await observe(key);
  const { hash, proof } = hashesOf(key);
  const rekey = () => post(by, `${agent}/rekey`, { new_key_hash: hash });
  expect((await rekey()).json["conflict_agent_id"]).toBe(idOf(shadow));
  expect((await post(by, `${shadow}/deactivate`, {})).status).toBe(400);
  const wrong = await post(by, `${shadow}/deactivate`, { hash_proof: hashesOf(old).proof });
  expect(wrong.status).toBe(403);
  const history = { traces: 3, scores: 0, trust_edges: 0 };
  expect((await post(operator, `${shadow}/history`, { history })).json).toMatchObject({ history });
  const kept = await post(by, `${shadow}/deactivate`, { hash_proof: proof });
  expect(kept).toMatchObject({ status: 409, json: error("FAILED_PRECONDITION") });
  expect((await post(by, `${shadow}/claim`, { hash_proof: proof })).status).toBe(200);
  const freed = await post(by, `${shadow}/deactivate`, undefined);
  expect(freed).toMatchObject({ status: 200, json: { bound: false, history } });
  expect((await rekey()).status).toBe(200);
});

it("observations and history are the operator's to tell, and no member's", async () => {
  const by = await account();
  const agent = await agentOf(by, newKey());
  const history = { traces: 1, scores: 0, trust_edges: 0 };
  expect((await post(by, `${agent}/history`, { history })).status).toBe(403);
  const agent_hash = hashesOf(newKey()).hash;
  expect((await post(by, "/v1/observations", { agent_hash })).status).toBe(403);
});

it.each([["POST /v1/observations"], ["murmur.rotation.v1.BindingService/ObserveKey"]])(
  "an API key for observations alone (%s) does nothing else",
  async (scope) => {
    const { json } = await post(operator, "/v1/keys", { label: "llm-proxy", scopes: [scope] });
    const proxy = gateway.rest(String(json["value"]));
    const agent_hash = hashesOf(newKey()).hash;
    const seen = await post(proxy, "/v1/observations", { agent_hash });
    expect(seen).toMatchObject({ status: 200, json: { created: true } });
    const agent = `/v1/agents/${String(seen.json["agent_id"])}`;
    expect((await proxy(agent)).status).toBe(403);
    const verified = await post(proxy, `${agent}/verify-binding`, { key_hash: agent_hash });
    expect(verified.status).toBe(403);
  },
);
