import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestAuthority } from "../../../test/harness/certificates";
import { type Rest, startTestGateway, type TestGateway } from "../../../test/harness/gateway";

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  json: { error?: { code: string; message: string } } & Record<string, unknown>;
  text: string;
}

type Ask = (path: string, headers?: Record<string, string>, method?: string) => Promise<Answer>;

const MARK = { "x-murmur-dashboard": "1" };
const OWN_PAGE = { ...MARK, "sec-fetch-site": "same-origin" };
const PROXY = "198.51.100.7";

let gateway: TestGateway;
let token: string;
let owner: Rest;
let ask: Ask;

beforeAll(async () => {
  gateway = await startTestGateway();
  token = await gateway.token();
  owner = gateway.rest(token);
  ask = at(gateway.url);
});
afterAll(() => gateway.stop());

/** As no browser's fetch does: every header as it is given. */
function at(url: string, ca?: Buffer): Ask {
  const send = url.startsWith("https") ? httpsRequest : httpRequest;
  return (path, headers = {}, method = "GET") =>
    new Promise((resolve, reject) => {
      const asking = send(url + path, { method, headers, ...(ca && { ca }), agent: false });
      asking.on("error", reject).on("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject).on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const json = (text.startsWith("{") ? JSON.parse(text) : {}) as Answer["json"];
          resolve({ status: response.statusCode ?? 0, headers: response.headers, json, text });
        });
      });
      asking.end();
    });
}

const bearer = (value: string) => ({ authorization: `Bearer ${value}` });
const signIn = (value = token, headers: Record<string, string> = {}, by = ask) =>
  by("/v1/session", { ...bearer(value), ...headers }, "POST");
const setCookie = ({ headers }: Answer) => (headers["set-cookie"] ?? []).join("\n");
/** What a browser sends back of an answer. */
const cookieOf = (answer: Answer) => ({ cookie: setCookie(answer).split(";")[0] ?? "" });
const signedIn = async (value = token) => cookieOf(await signIn(value));
const keyWith = async (scopes: string[]) => {
  const { json } = await owner("/v1/keys", { method: "POST", body: { label: "k", scopes } });
  const { credential_id: id } = json["credential"] as { credential_id: string };
  return { id, value: String(json["value"]) };
};
const refusal = ({ status, json }: Answer) => [status, json.error?.code];

describe("signing in", () => {
  it("answers who it is, and has the session in a cookie that scripts cannot read, and nowhere else", async () => {
    const answer = await signIn(token, { "user-agent": "Firefox\t on é" });
    expect(answer.status).toBe(201);
    expect(Object.keys(answer.json).sort()).toEqual([
      ...["developer", "expires_at", "role", "tenant_id"],
    ]);
    expect(answer.json).toMatchObject({
      ...{ developer: "github/alice", tenant_id: "t1", role: "owner" },
    });
    expect(setCookie(answer)).toMatch(
      /^murmur-session=mur_ses_\w{49}; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    expect(answer.text).not.toContain("mur_ses_");
    const cookie = cookieOf(answer);
    const who = await ask("/v1/session", cookie);
    expect([who.status, who.json]).toEqual([200, answer.json]);
    const { json } = await ask("/v1/sessions", cookie);
    expect((json["sessions"] as object[])[0]).toMatchObject({
      ...{ is_current: true, user_agent: "Firefox on ", made_from: "127.0.0.1" },
    });
  });

  it("needs an API key or an identity token", async () => {
    const cookie = await signedIn();
    expect(refusal(await ask("/v1/session", {}, "POST"))).toEqual([401, "UNAUTHENTICATED"]);
    expect(refusal(await signIn("mur_key_nothing"))).toEqual([401, "UNAUTHENTICATED"]);
    const again = await ask("/v1/session", { ...cookie, ...OWN_PAGE }, "POST");
    expect(refusal(again)).toEqual([403, "PERMISSION_DENIED"]);
    expect(setCookie(again)).toBe("");
    expect(refusal(await ask("/v1/session"))).toEqual([401, "UNAUTHENTICATED"]);
    expect(refusal(await ask("/v1/session", bearer(token)))).toEqual([401, "UNAUTHENTICATED"]);
  });

  it("gives a key's session the scopes of the key, by route", async () => {
    const cookie = await signedIn((await keyWith(["GET /v1/people*"])).value);
    expect((await ask("/v1/session", cookie)).status).toBe(200);
    expect((await ask("/v1/people", cookie)).status).toBe(200);
    const other = await ask("/v1/keys", cookie);
    expect(other.json.error?.message).toBe("the scopes of the API key do not include GET /v1/keys");
    // The catalog asks rotation, and holds the route against them, too.
    const secrets = await ask("/v1/secrets", cookie);
    expect(refusal(secrets)).toEqual([403, "PERMISSION_DENIED"]);
    expect((await ask("/v1/secrets", await signedIn())).status).toBe(200);
  });

  it("is refused in the clear, and makes nothing then, but on one machine", async () => {
    const count = async () => {
      const { rows } = await gateway.rotation.pool.query<{ n: bigint }>(
        "select count(*) as n from rotation.credentials where kind = 'session'",
      );
      return rows[0]?.n;
    };
    const before = await count();
    const port = new URL(gateway.url).port;
    for (const headers of [
      { host: "murmur.example" },
      { host: `192.0.2.1:${port}` },
      { host: "localhost.example" },
      { host: "127.0.0.1.example" },
      // Proxies that are not trusted: what the browser speaks to them, nobody knows.
      { host: "localhost", "x-forwarded-proto": "https" },
      { host: "localhost", "x-forwarded-for": PROXY },
      { host: "localhost", forwarded: "proto=https" },
      // One that hides under which name the browser has it.
      { host: `127.0.0.1:${port}`, origin: "http://murmur.example" },
    ]) {
      const answer = await signIn(token, headers);
      expect(refusal(answer)).toEqual([409, "FAILED_PRECONDITION"]);
      expect(answer.json.error?.message).toMatch(/^a session needs TLS: /);
      expect(setCookie(answer)).toBe("");
    }
    expect(await count()).toBe(before);
    for (const host of ["localhost", "127.0.0.2", "[::1]:7300", "demo.localhost"])
      expect(setCookie(await signIn(token, { host }))).toMatch(/^murmur-session=mur_ses_/);
  });
});

describe("behind TLS", () => {
  const SECURE =
    /^__Host-murmur-session=mur_ses_\w{49}; Path=\/; HttpOnly; SameSite=Strict; Secure$/;
  let directory: string;
  beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "murmur-sessions-"))));
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  it("the cookie is for TLS alone, and the other is no session there", async () => {
    const tls = createTestAuthority(directory, "gateway");
    const other = await startTestGateway({ beside: gateway, tls });
    try {
      const secure = at(other.url, readFileSync(tls.caFile));
      const answer = await signIn(token, {}, secure);
      expect(setCookie(answer)).toMatch(SECURE);
      const cookie = cookieOf(answer);
      expect((await secure("/v1/session", cookie)).status).toBe(200);
      const planted = { cookie: cookie.cookie.replace("__Host-", "") };
      expect((await secure("/v1/session", planted)).status).toBe(401);
      const out = await secure("/v1/session", { ...cookie, ...OWN_PAGE }, "DELETE");
      expect(setCookie(out)).toBe(
        "__Host-murmur-session=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0",
      );
    } finally {
      await other.stop();
    }
  });

  it("a trusted proxy says whether the browser speaks TLS, and under which name", async () => {
    const other = await startTestGateway({ beside: gateway, trustedProxies: ["127.0.0.1"] });
    try {
      const proxied = at(other.url);
      const by = { "x-forwarded-for": PROXY, "x-forwarded-host": "murmur.example" };
      const answer = await signIn(token, { ...by, "x-forwarded-proto": "https" }, proxied);
      expect(setCookie(answer)).toMatch(SECURE);
      const plain = await signIn(token, { ...by, "x-forwarded-proto": "http" }, proxied);
      expect(refusal(plain)).toEqual([409, "FAILED_PRECONDITION"]);
      const headers = { ...by, ...MARK, ...cookieOf(answer), "x-forwarded-proto": "https" };
      const end = (origin: string) => proxied("/v1/session", { ...headers, origin }, "DELETE");
      expect((await end("https://evil.example")).status).toBe(403);
      expect((await end("https://murmur.example")).status).toBe(204);
    } finally {
      await other.stop();
    }
  });
});

describe("a change by the cookie", () => {
  const change = async (headers: Record<string, string>, cookie?: Record<string, string>) =>
    ask(
      "/v1/sessions/00000000-0000-4000-8000-000000000000",
      {
        ...(cookie ?? (await signedIn())),
        ...headers,
      },
      "DELETE",
    );

  it("is for pages of the gateway's own", async () => {
    const { origin } = new URL(gateway.url);
    const cookie = await signedIn();
    for (const headers of [OWN_PAGE, { ...MARK, origin }])
      expect((await change(headers, cookie)).status).toBe(404);
    for (const headers of [
      { "sec-fetch-site": "same-origin" },
      { origin },
      { ...OWN_PAGE, "x-murmur-dashboard": "0" },
    ]) {
      const answer = await change(headers, cookie);
      expect(refusal(answer)).toEqual([403, "PERMISSION_DENIED"]);
      expect(answer.json.error?.message).toBe(
        "a change by a session needs the header X-Murmur-Dashboard: 1",
      );
    }
    for (const headers of [
      MARK,
      { ...MARK, "sec-fetch-site": "same-site" },
      { ...MARK, "sec-fetch-site": "cross-site" },
      { ...MARK, "sec-fetch-site": "none" },
      { ...MARK, "sec-fetch-site": "cross-site", origin },
      { ...MARK, origin: "http://127.0.0.1:1" },
      { ...MARK, origin: "null" },
    ]) {
      const answer = await change(headers, cookie);
      // Under plain HTTP a page of another origin is no caller at all.
      expect([401, 403]).toContain(answer.status);
    }
    const cross = await change({ ...MARK, "sec-fetch-site": "cross-site" }, cookie);
    expect(cross.json.error?.message).toBe(
      "a change by a session has to come from a page of this gateway's own",
    );
    expect((await ask("/v1/session", cookie)).status).toBe(200);
  });

  it("is refused on every route that is no question", async () => {
    const cookie = await signedIn();
    const changes = gateway.gateway.routes.filter(({ method }) => method !== "GET");
    expect(changes.length).toBeGreaterThan(30);
    for (const { path, method } of changes) {
      const url = path.replaceAll(/\{\w+\}/g, "00000000-0000-4000-8000-000000000000");
      const { status } = await ask(url, { ...cookie, "sec-fetch-site": "cross-site" }, method);
      // What the schema says is said first; nothing reaches a service.
      expect([400, 403]).toContain(status);
    }
    expect((await ask("/v1/session", cookie)).status).toBe(200);
  });

  it("is one by the header where there is one, which needs none of it and is not the cookie's", async () => {
    const cookie = await signedIn();
    const { status } = await ask("/v1/sessions", { ...cookie, ...bearer("nobody") }, "DELETE");
    expect(status).toBe(401);
    // Nor is the cookie meant where the header cannot be read.
    expect((await ask("/v1/session", { ...cookie, authorization: "Basic eDp5" })).status).toBe(401);
    expect((await ask("/v1/session", cookie)).status).toBe(200);
    const bob = await gateway.token({ id: "github/bob", role: "member" });
    const { json } = await ask("/v1/identity", { ...cookie, ...bearer(bob) });
    expect(json["developer"]).toBe("github/bob");
  });

  it("and its answer are for no other origin", async () => {
    const cookie = await signedIn();
    const origin = "https://evil.example";
    for (const [path, method] of [
      ["/v1/session", "GET"],
      ["/v1/session", "OPTIONS"],
      ["/v1/secrets", "OPTIONS"],
      ["/", "GET"],
    ] as const) {
      const preflight = { "access-control-request-method": "DELETE" };
      const { headers } = await ask(path, { ...cookie, origin, ...preflight }, method);
      expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
  });
});

it("is no session: a cookie of another make, or one that comes twice", async () => {
  const { cookie } = await signedIn();
  const { value } = await keyWith([]);
  for (const bad of [
    `murmur-session=${value}`,
    `murmur-session=${token}`,
    `${cookie}; ${cookie}`,
    `x${cookie}`,
    "murmur-session=",
  ])
    expect((await ask("/v1/identity", { cookie: bad })).status).toBe(401);
  expect((await ask("/v1/identity", { cookie: `a=b; ${cookie}; c=d` })).status).toBe(200);
});

it("follows a rollout, as whoever it stands for", async () => {
  const path = "/v1/rollouts/00000000-0000-4000-8000-000000000000/events";
  expect((await ask(path)).status).toBe(401);
  expect(refusal(await ask(path, await signedIn()))).toEqual([404, "NOT_FOUND"]);
});

describe("signing out", () => {
  it("ends the session before the answer, and has the browser forget it", async () => {
    const cookie = await signedIn();
    await ask("/v1/secrets", cookie);
    const out = await ask("/v1/session", { ...cookie, ...OWN_PAGE }, "DELETE");
    expect([out.status, out.text]).toEqual([204, ""]);
    expect(setCookie(out)).toBe("murmur-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    expect((await ask("/v1/session", cookie)).status).toBe(401);
    // One that is over is forgotten, too.
    const again = await ask("/v1/session", { ...cookie, ...OWN_PAGE }, "DELETE");
    expect([again.status, setCookie(again)]).toEqual([204, setCookie(out)]);
    expect((await ask("/v1/session", bearer(token), "DELETE")).status).toBe(401);
  });

  it("everywhere ends all of the person's, and nobody else's", async () => {
    const bob = await signedIn(await gateway.token({ id: "github/bob", role: "member" }));
    const [one, two] = [await signedIn(), await signedIn()];
    const { json } = await ask("/v1/sessions", one);
    const ids = (json["sessions"] as { session_id: string; is_current: boolean }[]).filter(
      (it) => !it.is_current,
    );
    const path = `/v1/sessions/${ids[0]?.session_id ?? ""}`;
    expect((await ask(path, { ...bob, ...OWN_PAGE }, "DELETE")).status).toBe(404);
    expect((await ask(path, { ...one, ...OWN_PAGE }, "DELETE")).status).toBe(204);
    expect((await ask("/v1/session", two)).status).toBe(401);
    const three = await signedIn();
    const all = await ask("/v1/sessions", { ...three, ...OWN_PAGE }, "DELETE");
    expect(all.status).toBe(200);
    expect(setCookie(all)).toMatch(/Max-Age=0$/);
    for (const cookie of [one, two, three])
      expect((await ask("/v1/session", cookie)).status).toBe(401);
    expect((await ask("/v1/session", bob)).status).toBe(200);
  });

  it("comes by itself with the end of the key", async () => {
    const key = await keyWith([]);
    const cookie = await signedIn(key.value);
    await ask("/v1/session", cookie);
    await owner(`/v1/keys/${key.id}/revoke`, { method: "POST", body: {} });
    expect((await ask("/v1/session", cookie)).status).toBe(401);
  });
});
