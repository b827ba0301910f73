import { createServer, connect, type Socket } from "node:net";
import { DESCRIPTOR_SET } from "../../gen/descriptor-set";
import {
  GetSecretResponse,
  SecretDelivery,
  SecretServiceService,
} from "../../gen/murmur/catalog/v1/secrets";
import { VmSyncServiceService } from "../../gen/murmur/rotation/v1/vm_sync";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { AppError, invalidFields, notFound, unavailable } from "../errors";
import type { Principal } from "../identity/principal";
import { silentLog } from "../log";
import { eventually } from "../../test/harness/eventually";
import type { AccessTable } from "./access";
import { createClient, openChannel, type Channel } from "./client";
import type { CallContext } from "./context";
import type { HandlersOf } from "./definition";
import { Encoded } from "./encoded";
import { createGrpcServer, type GrpcServer } from "./server";

type SecretHandlers = HandlersOf<typeof SecretServiceService>;

const ALICE: Principal = {
  kind: "developer",
  tenantId: "acme",
  id: "github/alice",
  role: "member",
  firstIssuedAt: 0,
  expiresAt: new Date(),
};

/** What a machine with much else to do may take longer. */
const SLACK_MS = 10_000;

const paths: string[] = [
  ...Object.values(SecretServiceService).map(({ path }) => path),
  ...Object.values(VmSyncServiceService).map(({ path }) => path),
];
const OPEN: AccessTable = Object.fromEntries(
  paths.map((path) => [path, { developer: "member" as const }]),
);

const refuse = () => Promise.reject(notFound(ErrorReason.ERROR_REASON_SECRET_NOT_FOUND, "no"));
const BASE: SecretHandlers = {
  setSecret: refuse,
  getSecret: refuse,
  listSecrets: refuse,
  deleteSecret: refuse,
  listSecretVersions: refuse,
  importSecrets: refuse,
  revokeSecret: refuse,
  destroySecretVersion: refuse,
};

describe("the gRPC wrapper", () => {
  let server: GrpcServer;
  let channel: Channel;
  let principal: Principal | undefined = ALICE;
  let handlers: { -readonly [K in keyof SecretHandlers]: SecretHandlers[K] };
  let address: string;
  let seen: CallContext | undefined;
  let endStream = false;

  beforeEach(async () => {
    principal = ALICE;
    handlers = { ...BASE };
    seen = undefined;
    endStream = false;
    server = createGrpcServer({
      authenticate: () => Promise.resolve(principal),
      access: OPEN,
      log: silentLog,
      maxTimeoutMs: 20_000,
      descriptorSet: DESCRIPTOR_SET,
    });
    server.add(SecretServiceService, {
      ...BASE,
      setSecret: (request, context) => handlers.setSecret(request, context),
      getSecret: (request, context) => {
        seen = context;
        return handlers.getSecret(request, context);
      },
    });
    server.add(VmSyncServiceService, {
      async watchVm(conversation, context) {
        seen = context;
        for await (const request of conversation.requests) {
          if (request.message?.$case !== "update") continue;
          await conversation.send({
            message: { $case: "heartbeat", value: { watermarkAgeMs: 7n } },
          });
          if (endStream) return;
        }
      },
      syncVm: refuse,
      listVmStatuses: refuse,
    });
    address = `127.0.0.1:${await server.listen("127.0.0.1:0")}`;
    channel = openChannel({ address, timeoutMs: 20_000 });
  });

  afterEach(async () => {
    channel.close();
    await server.stop(500);
  });

  const secrets = () => createClient(SecretServiceService, channel);
  const failure = async (call: Promise<unknown>): Promise<AppError> =>
    call.then(
      () => Promise.reject(new Error("the call succeeded")),
      (error: unknown) => error as AppError,
    );

  it("carries an AppError to the caller with code, reason, metadata, fields and retry time", async () => {
    handlers.getSecret = () =>
      Promise.reject(
        new AppError({
          code: "UNAVAILABLE",
          reason: ErrorReason.ERROR_REASON_DEPENDENCY_AWAY,
          message: "PostgreSQL is away",
          metadata: { dependency: "postgres" },
          violations: [{ field: "name", description: "odd" }],
          retryAfterMs: 1_500,
        }),
      );
    const error = await failure(secrets().getSecret({ name: "X" }));
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({
      code: "UNAVAILABLE",
      reason: ErrorReason.ERROR_REASON_DEPENDENCY_AWAY,
      message: "PostgreSQL is away",
      metadata: { dependency: "postgres" },
      violations: [{ field: "name", description: "odd" }],
      retryAfterMs: 1_500,
    });
  });

  it("tells the handler where the call comes from", async () => {
    await failure(secrets().getSecret({ name: "X" }));
    expect(seen?.peer).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it("sends a response as it is that is encoded already", async () => {
    const message: GetSecretResponse = { secret: undefined };
    handlers.getSecret = () =>
      Promise.resolve(new Encoded(Buffer.from(GetSecretResponse.encode(message).finish())));
    expect(await secrets().getSecret({ name: "X" })).toEqual(message);
  });

  it("shows nothing of a bug but a request id", async () => {
    handlers.getSecret = () => Promise.reject(new Error("password is hunter2"));
    const error = await failure(secrets().getSecret({ name: "X" }));
    expect(error).toMatchObject({ code: "INTERNAL", reason: ErrorReason.ERROR_REASON_INTERNAL });
    expect(error.message).toMatch(/^internal error \(request [0-9a-f-]{36}\)$/);
  });

  it("lists every wrong field and takes the first as the message", async () => {
    const violations = [
      { field: "name", description: "bad name" },
      { field: "plaintext_value", description: "plaintext_value is required" },
    ];
    handlers.setSecret = () => Promise.reject(invalidFields(violations));
    const invalid = await failure(
      secrets().setSecret({
        name: "x",
        plaintextValue: Buffer.alloc(0),
        description: undefined,
        createdAt: undefined,
        expectedVersion: undefined,
        delivery: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
        requestId: "",
      }),
    );
    expect(invalid).toMatchObject({ code: "INVALID_ARGUMENT", message: "bad name", violations });
  });

  it("answers UNAUTHENTICATED without and PERMISSION_DENIED with a wrong principal", async () => {
    principal = undefined;
    expect((await failure(secrets().getSecret({ name: "X" }))).code).toBe("UNAUTHENTICATED");
    principal = { kind: "vm", tenantId: "acme", id: "vm", name: "vm", keyThumbprint: "t" };
    expect((await failure(secrets().getSecret({ name: "X" }))).code).toBe("PERMISSION_DENIED");
  });

  it("honours the caller's deadline and tells the handler to stop", async () => {
    handlers.getSecret = () => new Promise(() => undefined);
    const startMs = performance.now();
    const error = await failure(secrets().getSecret({ name: "X" }, { timeoutMs: 1_000 }));
    expect(error.code).toBe("DEADLINE_EXCEEDED");
    expect(performance.now() - startMs).toBeLessThan(1_000 + SLACK_MS);
    await eventually(() => expect(seen?.signal.aborted).toBe(true));
  });

  it("tells the handler when the caller goes away", async () => {
    handlers.getSecret = () => new Promise(() => undefined);
    const controller = new AbortController();
    const call = failure(secrets().getSecret({ name: "X" }, { signal: controller.signal }));
    await eventually(() => expect(seen).toBeDefined());
    controller.abort();
    expect((await call).code).toBe("CANCELLED");
    await eventually(() => expect(seen?.signal.aborted).toBe(true));
  });

  it("answers INVALID_ARGUMENT, not INTERNAL, to bytes that are no message and to bad UTF-8", async () => {
    for (const bytes of [Buffer.from([0xff, 0xff, 0xff]), Buffer.from([0x0a, 0x02, 0xc3, 0x28])]) {
      const error = await new Promise<{ code: number; details: string }>((resolve, reject) => {
        const identity = (value: Buffer) => value;
        const { path } = SecretServiceService.getSecret;
        channel.client.makeUnaryRequest(path, identity, identity, bytes, (failed) => {
          if (failed) resolve(failed);
          else reject(new Error("the call succeeded"));
        });
      });
      expect(error).toMatchObject({
        code: 3,
        details: "the request is not a valid protobuf message of this method",
      });
    }
  });

  it("does not start with an RPC that has no access row", () => {
    const bare = createGrpcServer({
      authenticate: () => Promise.resolve(undefined),
      access: {},
      log: silentLog,
      maxTimeoutMs: 1_000,
      descriptorSet: DESCRIPTOR_SET,
    });
    expect(() => {
      bare.add(SecretServiceService, BASE);
    }).toThrow("no access row for /murmur.catalog.v1.SecretService/SetSecret");
  });

  it("converses both ways until the server ends", async () => {
    const client = createClient(VmSyncServiceService, channel);
    const conversation = await client.watchVm();
    endStream = true;
    conversation.send({ message: { $case: "update", value: { acks: [], agents: [] } } });
    const heard = [];
    for await (const response of conversation.responses) heard.push(response);
    expect(heard).toEqual([{ message: { $case: "heartbeat", value: { watermarkAgeMs: 7n } } }]);
  });

  it("is forced to stop within its grace although a stream stays open", async () => {
    const client = createClient(VmSyncServiceService, channel);
    const conversation = await client.watchVm();
    conversation.send({ message: { $case: "update", value: { acks: [], agents: [] } } });
    const reading = (async () => {
      for await (const _ of conversation.responses);
    })().catch((error: unknown) => error);
    await eventually(() => expect(seen).toBeDefined());
    const startMs = performance.now();
    await server.stop(200);
    expect(performance.now() - startMs).toBeLessThan(200 + SLACK_MS);
    await reading;
    // Sooner than a keepalive finds out.
    expect(performance.now() - startMs).toBeLessThan(200 + SLACK_MS / 2);
    expect(seen?.signal.aborted).toBe(true);
  });

  it("notices a frozen peer within the keepalive times", async () => {
    const sockets: Socket[] = [];
    let isFrozen = false;
    const port = Number(address.split(":")[1]);
    const proxy = createServer((from) => {
      const to = connect(port, "127.0.0.1");
      sockets.push(from, to);
      from.on("data", (data) => !isFrozen && to.write(data)).on("error", () => undefined);
      to.on("data", (data) => !isFrozen && from.write(data)).on("error", () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port: proxyPort } = proxy.address() as { port: number };
    const slow = openChannel({ address: `127.0.0.1:${proxyPort}`, keepaliveMs: 1_000 });
    try {
      const conversation = await createClient(VmSyncServiceService, slow).watchVm();
      conversation.send({ message: { $case: "update", value: { acks: [], agents: [] } } });
      const iterator = conversation.responses[Symbol.asyncIterator]();
      await iterator.next();
      isFrozen = true;
      const startMs = performance.now();
      const error = await failure(iterator.next());
      expect(error.code).toBe("UNAVAILABLE");
      expect(performance.now() - startMs).toBeLessThan(2_000 + SLACK_MS);
    } finally {
      slow.close();
      for (const socket of sockets) socket.destroy();
      proxy.close();
    }
  });

  it("is reached directly, whatever proxy the environment names for the web", async () => {
    const names = ["http_proxy", "https_proxy", "grpc_proxy"];
    const before = names.map((name) => [name, process.env[name]] as const);
    for (const name of names) process.env[name] = "http://127.0.0.1:1";
    const direct = openChannel({ address, timeoutMs: 20_000 });
    try {
      const error = await failure(
        createClient(SecretServiceService, direct).getSecret({ name: "X" }),
      );
      expect(error.code).toBe("NOT_FOUND");
    } finally {
      direct.close();
      for (const [name, value] of before)
        if (value === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = value;
    }
  });

  it("turns a peer that is not there into UNAVAILABLE with a retry time", async () => {
    const nobody = openChannel({ address: "127.0.0.1:1" });
    const error = await failure(
      createClient(SecretServiceService, nobody).getSecret({ name: "X" }),
    );
    expect(error).toMatchObject({
      code: "UNAVAILABLE",
      retryAfterMs: unavailable("", undefined, 200).retryAfterMs,
    });
    nobody.close();
  });
});
