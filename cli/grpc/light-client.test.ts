import { createServer, type Server } from "node:net";
import { once } from "node:events";
import fc from "fast-check";
import { DESCRIPTOR_SET } from "../../gen/descriptor-set";
import { SecretServiceService } from "../../gen/murmur/catalog/v1/secrets";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { RolloutServiceService } from "../../gen/murmur/rotation/v1/rollouts";
import { AppError } from "../../lib/errors";
import type { CallContext } from "../../lib/grpc/context";
import { createGrpcServer, type GrpcServer } from "../../lib/grpc/server";
import { silentLog } from "../../lib/log";
import { eventually } from "../../test/harness/eventually";
import { frame, unframe } from "./frames";
import { createHttp2Session, type Http2Session } from "./http2-session";
import { createLightClient } from "./light-client";

const PAGE = { pageSize: 1, pageToken: "" };
const unused = () => Promise.reject(new Error("not used here"));

let server: GrpcServer;
let address: string;
let session: Http2Session;
let onList: (context: CallContext) => Promise<void>;
let onWatch: (context: CallContext) => AsyncGenerator<number>;
let seenHeaders: (string | undefined)[];

beforeEach(async () => {
  seenHeaders = [];
  const methods: { path: string }[] = [
    ...Object.values(SecretServiceService),
    ...Object.values(RolloutServiceService),
  ];
  server = createGrpcServer({
    authenticate: (call) => {
      seenHeaders.push(call.get("authorization"));
      return Promise.resolve(undefined);
    },
    log: silentLog,
    maxTimeoutMs: 60_000,
    access: Object.fromEntries(methods.map(({ path }) => [path, { anyone: true as const }])),
    descriptorSet: DESCRIPTOR_SET,
  });
  server.add(SecretServiceService, {
    ...{ setSecret: unused, getSecret: unused, deleteSecret: unused, listSecretVersions: unused },
    ...{ importSecrets: unused, revokeSecret: unused, destroySecretVersion: unused },
    listSecrets: async (_request, context) => {
      await onList(context);
      return { secrets: [], nextPageToken: "x".repeat(100_000) };
    },
  });
  server.add(RolloutServiceService, {
    ...{ rekeyAgent: unused, getRollout: unused, listRollouts: unused },
    ...{ listRolloutProcesses: unused, rollbackRollout: unused },
    ...{ rekeyAgents: unused, previewRekey: unused },
    watchRollout: async function* (_request, context) {
      for await (const _ of onWatch(context)) yield { rollout: undefined, targets: [] };
    },
  });
  address = `127.0.0.1:${await server.listen("127.0.0.1:0")}`;
  session = open(address);
  onList = () => Promise.resolve();
});
afterEach(async () => {
  session.close();
  await server.stop(0);
});

const open = (to: string) =>
  createHttp2Session({ address: to, caFile: undefined, headers: { authorization: "Bearer t" } });
const list = (control = {}, over = session) =>
  createLightClient(SecretServiceService, over).listSecrets(PAGE, control);
const never = (context: CallContext) =>
  new Promise<void>((resolve) => context.signal.addEventListener("abort", () => resolve()));

describe("a call of the CLI's own client", () => {
  it("brings a large answer whole and says who calls", async () => {
    expect((await list()).nextPageToken).toHaveLength(100_000);
    expect(seenHeaders).toEqual(["Bearer t"]);
  });

  it("throws what the service threw, with all its details", async () => {
    const init = {
      code: "RESOURCE_EXHAUSTED" as const,
      reason: ErrorReason.ERROR_REASON_LIMIT_REACHED,
      message: "limit of ü % reached\n",
      metadata: { limit: "secrets" },
      violations: [{ field: "name", description: "too many" }],
      retryAfterMs: 1_500,
    };
    onList = () => Promise.reject(new AppError(init));
    await expect(list()).rejects.toMatchObject(init);
  });

  it("ends at its deadline, and the service is told", async () => {
    let isTold = false;
    onList = async (context) => {
      await never(context);
      isTold = true;
    };
    await expect(list({ timeoutMs: 100 })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    await eventually(() => {
      expect(isTold).toBe(true);
    });
  });

  it("ends when its caller gives up", async () => {
    const giveUp = new AbortController();
    onList = (context) => {
      giveUp.abort();
      return never(context);
    };
    await expect(list({ signal: giveUp.signal })).rejects.toMatchObject({ code: "CANCELLED" });
    await expect(list({ signal: giveUp.signal })).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("is UNAVAILABLE where nobody listens", async () => {
    await server.stop(0);
    await expect(list()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("is UNAVAILABLE when the service is cut off in the middle of it", async () => {
    onList = async (context) => {
      void server.stop(0);
      await never(context);
    };
    await expect(list()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it.each([
    ["speaks another protocol", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"],
    ["hangs up", undefined],
  ])("is UNAVAILABLE where something listens that %s", async (_what, answer) => {
    const stranger = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", () => (answer === undefined ? socket.destroy() : socket.end(answer)));
    });
    const at = await listening(stranger);
    const other = open(at);
    await expect(list({}, other)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    other.close();
    stranger.close();
  });

  it("does not wait for ever for a peer that says nothing", async () => {
    const silent = createServer((socket) => socket.on("error", () => undefined));
    const other = open(await listening(silent));
    await expect(list({ timeoutMs: 200 }, other)).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
    other.close();
    silent.close();
  });
});

describe("a stream of the CLI's own client", () => {
  const watch = (control = {}) =>
    createLightClient(RolloutServiceService, session).watchRollout({ rolloutId: "r" }, control);

  it("gives each message as it comes and ends with the service", async () => {
    onWatch = async function* () {
      for (let i = 0; i < 3; i++) yield await Promise.resolve(i);
    };
    const messages = [];
    for await (const message of watch()) messages.push(message);
    expect(messages).toHaveLength(3);
  });

  it("tells the service when its reader stops", async () => {
    let isTold = false;
    onWatch = async function* (context) {
      yield 1;
      await never(context);
      isTold = true;
    };
    for await (const _ of watch()) break;
    await eventually(() => {
      expect(isTold).toBe(true);
    });
  });

  it("throws the error with which the service ended it, after the messages", async () => {
    onWatch = async function* () {
      yield await Promise.resolve(1);
      throw new AppError({
        ...{ code: "NOT_FOUND", reason: ErrorReason.ERROR_REASON_ROLLOUT_NOT_FOUND },
        message: "gone",
      });
    };
    let count = 0;
    const read = async () => {
      for await (const _ of watch()) count++;
    };
    await expect(read()).rejects.toMatchObject({ code: "NOT_FOUND", message: "gone" });
    expect(count).toBe(1);
  });
});

describe("frames", () => {
  it("give back every message, however the bytes are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 })),
        fc.integer({ min: 1, max: 17 }),
        async (messages, step) => {
          const bytes = Buffer.concat(messages.map((message) => frame(Buffer.from(message))));
          async function* cut() {
            for (let at = 0; at < bytes.length; at += step)
              yield await Promise.resolve(bytes.subarray(at, at + step));
          }
          const read: string[] = [];
          for await (const message of unframe(cut())) read.push(message.toString("hex"));
          expect(read).toEqual(messages.map((message) => Buffer.from(message).toString("hex")));
        },
      ),
    );
  });
});

async function listening(stranger: Server): Promise<string> {
  stranger.listen(0, "127.0.0.1");
  await once(stranger, "listening");
  return `127.0.0.1:${(stranger.address() as { port: number }).port}`;
}
