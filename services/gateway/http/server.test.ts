import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestAuthority } from "../../../test/harness/certificates";
import { type Rest, startTestGateway, type TestGateway } from "../../../test/harness/gateway";

let gateway: TestGateway;
let owner: Rest;

beforeAll(async () => {
  gateway = await startTestGateway();
  owner = gateway.rest(await gateway.token());
});
afterAll(() => gateway.stop());

const refusal = (code: string, message: string) => ({ json: { error: { code, message } } });

describe("a body", () => {
  const post = (body: string | Uint8Array, type = "application/json") =>
    owner("/v1/keys", { method: "POST", body, headers: { "content-type": type } });

  it.each([
    ["that is not JSON", "{", "the body is not JSON"],
    ["that is no object", "null", "the body must be an object"],
    ["that is not UTF-8", Buffer.from('{"label": "\xff"}', "latin1"), "the body is not UTF-8"],
    ["with half of a character", '{"label": "\\ud800"}', "label must be Unicode text"],
    ["with a field too many", '{"lable": "x"}', 'the body has no field "lable"'],
    ["with a field of another type", '{"label": 1}', "label must be a string"],
    ["with a time that is none", '{"expires_at": "soon"}', undefined],
    ["that would change what objects are", '{"__proto__": {"scopes": []}}', undefined],
  ])("%s is refused by name", async (_, body, message) => {
    const answer = await post(body);
    expect(answer).toMatchObject({ status: 400, json: { error: { code: "INVALID_ARGUMENT" } } });
    if (message !== undefined) expect(answer).toMatchObject(refusal("INVALID_ARGUMENT", message));
  });

  it("of another content type, or one that is too large, is refused", async () => {
    expect(await post("label=x", "application/x-www-form-urlencoded")).toMatchObject({
      ...{ status: 400 },
      ...refusal("INVALID_ARGUMENT", "the content type must be application/json"),
    });
    expect(await post(`{"label": "${"x".repeat(1024 * 1024)}"}`)).toMatchObject({
      ...{ status: 400, json: { error: { details: { reason: "MESSAGE_TOO_LARGE" } } } },
    });
  });
});

describe("a query", () => {
  it.each([
    ["page_size=many", "page_size must be a whole number"],
    ["page_size=1&page_size=2", "the query has a field twice"],
    ["size=1", 'the query has no field "size"'],
    ["page_token=%ff", "the query is not percent-encoded UTF-8"],
  ])("%s is refused by name", async (query, message) => {
    const answer = await owner(`/v1/secrets?${query}`);
    expect(answer).toMatchObject({ status: 400, ...refusal("INVALID_ARGUMENT", message) });
  });
});

describe("a path", () => {
  it("that there is not is NOT_FOUND, whoever asks", async () => {
    for (const path of ["/v1", "/v1/secrets/", "/V1/secrets", "/v1/../v1/nothing"])
      expect(await owner(path, { token: null })).toMatchObject({
        ...{ status: 404, json: { error: { code: "NOT_FOUND" } } },
      });
  });

  it("with another method says which it has", async () => {
    for (const method of ["PATCH", "OPTIONS", "DELETE"]) {
      const answer = await owner("/v1/secrets/NPM_TOKEN/versions", { method });
      expect(answer).toMatchObject({
        ...{ status: 405, json: { error: { code: "UNIMPLEMENTED" } } },
      });
      expect(answer.headers.get("allow")).toBe("GET, HEAD");
    }
  });

  it("that is not UTF-8, or has a part without end, is refused", async () => {
    for (const part of ["%ff", "x".repeat(5_000)])
      expect((await owner(`/v1/secrets/${part}`)).status).toBe(400);
  });
});

describe("every answer", () => {
  it("has a request id: the client's own, when it can be shown", async () => {
    const idOf = async (given: string) =>
      (await owner("/healthz", { headers: { "x-request-id": given } })).headers.get("x-request-id");
    expect(await idOf("from-the-client")).toBe("from-the-client");
    expect(await idOf("with a space")).toMatch(/^[0-9a-f-]{36}$/);
    expect(await idOf("x".repeat(200))).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("is not to be kept, framed or guessed at", async () => {
    for (const path of ["/v1/secrets", "/v1/nothing", "/openapi.json"]) {
      const { headers } = await owner(path);
      expect(Object.fromEntries(headers)).toMatchObject({
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
      });
    }
  });

  it("says how to authenticate to who did not", async () => {
    for (const authorization of ["", "Basic YTpi", "Bearer", "Bearer not-a-token", "Bearer a b"]) {
      const answer = await owner("/v1/secrets", { token: null, headers: { authorization } });
      expect(answer).toMatchObject({ status: 401, json: { error: { code: "UNAUTHENTICATED" } } });
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    }
  });

  it("is an error as usual for bytes that are not HTTP", async () => {
    for (const bytes of [
      "NOT HTTP\r\n\r\n",
      `GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`,
    ]) {
      const socket = connect(Number(new URL(gateway.url).port), "127.0.0.1");
      socket.write(bytes);
      let text = "";
      socket.on("data", (data) => (text += data.toString())).on("error", () => undefined);
      await once(socket, "close");
      expect(text).toMatch(/^HTTP\/1\.1 400 [^]*"code":"INVALID_ARGUMENT"/);
    }
  });
});

it("serves HTTPS with a certificate, and says that it is to stay so", async () => {
  const directory = mkdtempSync(join(tmpdir(), "murmur-gateway-"));
  const tls = createTestAuthority(directory, "gateway");
  const other = await startTestGateway({ beside: gateway, tls });
  const ca = readFileSync(tls.caFile);
  const asked = request(`${other.url}/healthz`, { ca, servername: "localhost" }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  expect(response.statusCode).toBe(200);
  expect(response.headers["strict-transport-security"]).toMatch(/^max-age=/);
  asked.destroy();
  await other.stop();
  rmSync(directory, { recursive: true });
});
