import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { type Rest, startTestGateway, type TestGateway } from "../../../test/harness/gateway";

const PAGE = "<!doctype html><script src=/assets/main-5XJQ7K2A.js></script>";
const SCRIPT = "console.log('hello');".repeat(50);
const HTML = { headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } };

let gateway: TestGateway;
let rest: Rest;
let root: string;
let directory: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "murmur-dashboard-"));
  directory = join(root, "dashboard");
  mkdirSync(join(directory, "assets/.hidden"), { recursive: true });
  const write = (path: string, bytes: string | Buffer) => {
    writeFileSync(join(directory, path), bytes);
  };
  write("index.html", PAGE);
  write("assets/main-5XJQ7K2A.js", SCRIPT);
  write("assets/main-5XJQ7K2A.js.br", brotliCompressSync(SCRIPT));
  write("assets/main-5XJQ7K2A.js.gz", gzipSync(SCRIPT));
  write("assets/session-overview.js", SCRIPT);
  write("assets/icon.svg", "<svg/>");
  write("assets/.hidden/x.js", "hidden");
  write("secret.txt", "not for everybody");
  writeFileSync(join(root, "outside.txt"), "outside");
  gateway = await startTestGateway({ dashboardDirectory: directory });
  rest = gateway.rest(undefined);
});
afterAll(async () => {
  await gateway.stop();
  rmSync(root, { recursive: true });
});

/** A path as it is, which fetch would tidy up, and the answer's bytes as they come. */
function raw(path: string, headers: Record<string, string> = {}) {
  return new Promise<{ status: number; encoding: string | undefined; length: number }>(
    (resolve, reject) => {
      const { hostname, port } = new URL(gateway.url);
      const asking = httpRequest({ hostname, port, path, headers, agent: false });
      asking.on("error", reject).on("response", (response) => {
        let length = 0;
        response.on("data", (chunk: Buffer) => (length += chunk.length));
        response.on("error", reject).on("end", () => {
          const encoding = response.headers["content-encoding"];
          resolve({ status: response.statusCode ?? 0, encoding, length });
        });
      });
      asking.end();
    },
  );
}

it("is the page at / and wherever a person goes, asked for anew each time", async () => {
  for (const path of ["/", "/agents/backend/fix-auth", "/secrets?page=2", "/v1x", "/assetsx"]) {
    const { status, text, headers } = await rest(path, HTML);
    expect([path, status, text]).toEqual([path, 200, PAGE]);
    expect(headers.get("content-type")).toMatch(/^text\/html; charset=utf-8$/i);
    expect(headers.get("cache-control")).toBe("no-cache");
  }
  const { headers } = await rest("/", HTML);
  const etag = headers.get("etag") ?? "";
  expect((await raw("/", { "if-none-match": etag })).status).toBe(304);
  expect(await rest("/", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
});

it("takes the place of nothing else: interfaces, probes, and what programs ask for", async () => {
  for (const path of [
    "/v1",
    "/v1/nothing",
    "/healthz/x",
    "/readyz/x",
    "/openapi.json/x",
    "/assets",
    "/assets/none.js",
  ]) {
    const { status, json } = await rest(path, HTML);
    expect([path, status, json]).toMatchObject([path, 404, { error: { code: "NOT_FOUND" } }]);
  }
  expect((await rest("/agents")).status).toBe(404);
  expect((await rest("/agents", { ...HTML, method: "POST" })).status).toBe(404);
  expect((await rest("/healthz", HTML)).json).toEqual({ status: "ok" });
  for (const path of ["/", "/assets/icon.svg"])
    expect((await rest(path, { method: "POST" })).status).toBe(405);
});

it("loads, runs and sends nothing but its own, and is framed by nobody", async () => {
  for (const path of ["/", "/anything", "/assets/main-5XJQ7K2A.js"]) {
    const { headers } = await rest(path, HTML);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy.split("; ")).toEqual([
      ...["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:"],
      ...["font-src 'self'", "connect-src 'self'", "manifest-src 'self'", "base-uri 'none'"],
      ...["form-action 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"],
    ]);
    expect(Object.fromEntries(headers)).toMatchObject({
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      "permissions-policy": expect.stringContaining("camera=()") as string,
    });
    expect(headers.get("strict-transport-security")).toBeNull();
  }
  // What is for programs stays as closed as it was.
  const { headers } = await rest("/healthz");
  expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
});

it("is kept for ever where the name says what is in it, and nowhere else", async () => {
  const kept = async (path: string) => (await rest(path)).headers.get("cache-control");
  expect(await kept("/assets/main-5XJQ7K2A.js")).toBe("public, max-age=31536000, immutable");
  expect(await kept("/assets/session-overview.js")).toBe("no-cache");
  expect(await kept("/assets/icon.svg")).toBe("no-cache");
  expect(await kept("/assets/none-5XJQ7K2A.js")).toBe("no-store");
});

it("comes compressed to who takes it", async () => {
  const path = "/assets/main-5XJQ7K2A.js";
  const as = async (accepted: string) => raw(path, { "accept-encoding": accepted });
  expect(await as("gzip, deflate, br")).toMatchObject({ status: 200, encoding: "br" });
  expect((await as("br")).length).toBeLessThan(SCRIPT.length / 5);
  expect(await as("gzip")).toMatchObject({ status: 200, encoding: "gzip" });
  expect(await raw(path)).toEqual({ status: 200, encoding: undefined, length: SCRIPT.length });
  const { headers, text } = await rest(path);
  expect(headers.get("content-type")).toMatch(/javascript/);
  expect(headers.get("vary") ?? "").toMatch(/accept-encoding/i);
  expect(text).toBe(SCRIPT);
});

it("gives out no other file", async () => {
  for (const path of [
    "/assets/../secret.txt",
    "/assets/..%2fsecret.txt",
    "/assets/%2e%2e/%2e%2e/outside.txt",
    "/assets/..%2f..%2foutside.txt",
    "/assets/.hidden/x.js",
    "/secret.txt",
    "/assets/",
    "/assets/%00",
  ]) {
    const { status } = await raw(path);
    expect([path, status >= 400 && status < 500]).toEqual([path, true]);
  }
});

it("says how it is built where it is not, and comes without a restart when it is", async () => {
  const later = join(root, "later");
  const other = await startTestGateway({ beside: gateway, dashboardDirectory: later });
  try {
    const ask = () => other.rest(undefined)("/", HTML);
    const missing = await ask();
    expect(missing.status).toBe(503);
    expect(missing.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(missing.text).toContain("npm run build");
    mkdirSync(later);
    writeFileSync(join(later, "index.html"), PAGE);
    expect(await ask()).toMatchObject({ status: 200, text: PAGE });
  } finally {
    await other.stop();
  }
});

it("is to be asked for by TLS alone from then on, where it was once", async () => {
  const other = await startTestGateway({ beside: gateway, trustedProxies: ["127.0.0.1"] });
  try {
    const headers = { "x-forwarded-proto": "https" };
    const { headers: answered } = await other.rest(undefined)("/", { headers });
    expect(answered.get("strict-transport-security")).toBe("max-age=31536000");
  } finally {
    await other.stop();
  }
});
