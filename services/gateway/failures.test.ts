import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Writable } from "node:stream";
import { createLog } from "../../lib/log";
import { eventually } from "../../test/harness/eventually";
import { restAt, type Rest, startTestGateway, type TestGateway } from "../../test/harness/gateway";

let gateway: TestGateway;
let token: string;
/** Accepts connections, and never says a word. */
let silent: Server;
let silentAddress: string;
const sockets: Socket[] = [];
const lines: string[] = [];

beforeAll(async () => {
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  gateway = await startTestGateway({ log: createLog("gateway", "debug", destination) });
  token = await gateway.token();
  silent = createServer((socket) => {
    sockets.push(socket.on("error", () => undefined));
  }).listen(0, "127.0.0.1");
  await once(silent, "listening");
  silentAddress = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await gateway.stop();
  silent.close();
  for (const socket of sockets) socket.destroy();
});

/** Runs with another gateway in front of the same services. */
async function withGateway(
  options: Parameters<typeof startTestGateway>[0],
  run: (rest: Rest, other: TestGateway) => Promise<void>,
): Promise<void> {
  const other = await startTestGateway({ beside: gateway, ...options });
  try {
    await run(restAt(other.url, token), other);
  } finally {
    await other.stop();
  }
}

/** Nobody listens there. */
const NOWHERE = "127.0.0.1:1";

describe("a service that is away", () => {
  it("is UNAVAILABLE with Retry-After on its routes, and others go on", () =>
    withGateway({ addresses: { rotation: NOWHERE } }, async (rest, other) => {
      for (const path of ["/v1/rollouts", "/v1/keys", "/v1/rollouts/x/events"]) {
        const answer = await rest(path);
        expect(answer).toMatchObject({
          status: 503,
          json: { error: { code: "UNAVAILABLE", details: { reason: "DEPENDENCY_AWAY" } } },
        });
        expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
      }
      expect((await restAt(other.url, token)("/v1/secrets")).status).toBe(200);
    }));

  it("takes the gateway out of readiness only when the other is away, too", async () => {
    await withGateway({ addresses: { rotation: NOWHERE } }, async (rest) => {
      await eventually(async () => {
        expect(await rest("/readyz", { token: null })).toMatchObject({
          ...{ status: 200, json: { rotation: "away" } },
        });
      });
    });
    await withGateway({ addresses: { rotation: NOWHERE, catalog: NOWHERE } }, async (rest) => {
      expect((await rest("/readyz")).status).toBe(503);
      expect((await rest("/healthz")).status).toBe(200);
    });
  });

  it("and that does not answer is DEADLINE_EXCEEDED when the time is up", () =>
    withGateway({ addresses: { rotation: silentAddress }, timeoutMs: 200 }, async (rest) => {
      expect(await rest("/v1/rollouts")).toMatchObject({
        status: 504,
        json: { error: { code: "DEADLINE_EXCEEDED" } },
      });
    }));
});

describe("a stop", () => {
  it("answers what runs, and takes nothing more", async () => {
    const other = await startTestGateway({
      ...{ beside: gateway, addresses: { rotation: silentAddress }, timeoutMs: 1_000 },
    });
    const connected = once(silent, "connection");
    const running = restAt(other.url, token)("/v1/rollouts");
    await connected;
    const stopped = other.stop();
    expect((await running).status).toBe(504);
    await stopped;
    await expect(fetch(`${other.url}/healthz`)).rejects.toThrow();
  });
});

describe("limits", () => {
  it("count each address alone, an IPv6 network as one, and say when to ask again", () =>
    withGateway({ rateLimit: 2, trustedProxies: ["127.0.0.1"] }, async (rest) => {
      const from = (address: string, path = "/v1/identity") =>
        rest(path, { headers: { "x-forwarded-for": address } });
      const good = await from("2001:db8::1");
      expect([good.status, good.headers.get("x-ratelimit-remaining")]).toEqual([200, "1"]);
      // A path that there is not counts, too.
      await from("2001:db8::2", "/v1/nothing");
      const limited = await from("2001:db8::3");
      expect(limited).toMatchObject({
        status: 429,
        json: { error: { code: "RESOURCE_EXHAUSTED", details: { reason: "LIMIT_REACHED" } } },
      });
      expect(Number(limited.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
      expect((await from("2001:db8:0:1::1")).status).toBe(200);
      expect((await from("203.0.113.7")).status).toBe(200);
      expect((await from("2001:db8::3", "/healthz")).status).toBe(200);
    }));
});

describe("the log", () => {
  it("has what was answered, and nothing that a client sent", async () => {
    const mark = "marked-value-7f3a";
    const rest = gateway.rest(token);
    const put = (path: string, body: unknown) => rest(path, { method: "PUT", body });
    const answers = [
      await put("/v1/secrets/MARKED", { plaintext_value: mark }),
      await put("/v1/secrets/MARKED", { plaintext_value: [mark] }),
      await put("/v1/secrets/MARKED", `{"plaintext_value": "${mark}"`),
      await put("/v1/secrets/lower", { plaintext_value: mark }),
      await put("/v1/users/github/alice/secrets/MARKED", { plaintext_value: mark }),
      await rest("/v1/secrets/import", {
        ...{ method: "POST", body: { secrets: [{ name: "A", plaintext_value: mark }, {}] } },
      }),
      await rest("/v1/secrets", { token: `mur_key_${mark}` }),
    ];
    const requestId = "of-the-client-1";
    await rest(`/v1/keys/${mark}?page_size=${mark}`, { headers: { "x-request-id": requestId } });
    const { json } = await rest("/v1/keys", { method: "POST", body: { label: "shown once" } });
    expect(answers.map(({ text }) => text).join()).not.toContain(mark);
    const log = lines.join("");
    expect(log).toContain('"route":"/v1/secrets/:name","status":200');
    expect(log).toContain(requestId);
    for (const value of [mark, token, json["value"] as string]) expect(log).not.toContain(value);
  });
});
