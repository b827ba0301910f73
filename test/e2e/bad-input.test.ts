import { generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type ClientHttp2Session } from "node:http2";
import { join } from "node:path";
import { ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";
import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { issueDeveloperToken } from "../../lib/identity/claims";
import {
  bearerCredentials,
  serviceCredentials,
  vmCredentials,
} from "../../lib/identity/credentials";
import { joinMessage } from "../../lib/identity/signed-messages";
import {
  generateSigningKey,
  parseSigningKey,
  rawPublicKey,
  type SigningKey,
} from "../../lib/identity/signing-key";
import { type AppError, isAppError } from "../../lib/errors";
import type { Credentials } from "../../lib/grpc/client";
import { sensitive } from "../../lib/sensitive";
import { eventually } from "../harness/eventually";
import { openRawCaller, type RawCaller } from "../harness/raw-call";
import { type StackClients, startTestStack, type TestStack } from "../harness/stack";
import { arbitraryMessage } from "./arbitrary-message";
import { type ContractRpc, contractRpcs } from "./contract-rpcs";

/** What a caller may be told; everything else (INTERNAL, UNKNOWN, UNAVAILABLE, …) is a fault of ours. */
const FAIR = [
  "OK",
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "FAILED_PRECONDITION",
  "ABORTED",
  "PERMISSION_DENIED",
  "UNAUTHENTICATED",
  "RESOURCE_EXHAUSTED",
];
/** Of another tenant than the stack's own, so that nothing fuzzed touches what others look at. */
const TENANT = "fuzz";
/** Those that take away what the others speak of come last. */
const ENDING = ["KillAgent", "DeleteSecret", "DeleteWorkspace"];
const RPCS = contractRpcs().sort((a, b) => ENDING.indexOf(nameOf(a)) - ENDING.indexOf(nameOf(b)));
const OPEN = ["JoinVm", "RenewVmToken"];
const OF_VMS = ["OpenDeliverySession", "FetchEnvironments", "WatchVm", "SyncVm"];
const OF_SERVICES = [
  "SnapshotEnvironments",
  "ReleaseGenerations",
  "FindPins",
  "PreviewEnvironments",
  "ListRemovedVms",
];

let stack: TestStack;
let callers: Record<ContractRpc["service"], RawCaller>;
let principals: Record<"developer" | "vm" | "service", Credentials>;
let rotationKey: SigningKey;
/** The owner of the fuzzed tenant. */
let fuzzed: StackClients;
let before: number[];

beforeAll(async () => {
  stack = await startTestStack();
  callers = {
    catalog: openRawCaller(stack.place.catalog),
    rotation: openRawCaller(stack.place.rotation),
  };
  rotationKey = signingKey(stack.identities.rotationKeyFile);
  const developer = bearerCredentials(sensitive(await developerToken(TENANT)));
  principals = {
    developer,
    vm: await joinVm("fuzz-vm"),
    service: serviceCredentials({
      key: rotationKey,
      service: "rotation",
      audience: "catalog",
      tenantId: TENANT,
    }),
  };
  fuzzed = stack.clientsOf(await developerToken(TENANT));
  before = pids();
}, 180_000);

/** What a message may happen to name is there, whatever became of it before. */
beforeEach(async () => {
  await fuzzed.workspaces.setWorkspace({
    name: "demo",
    description: undefined,
    secretRefs: undefined,
    vms: [],
    expectedRevision: undefined,
  });
  await spawn("fuzzed").catch((error: unknown) => {
    if (!isAppError(error, "ALREADY_EXISTS")) throw error;
  });
});

/** An agent that stays as it is, as its machine never says a word. */
function spawn(slug: string) {
  const where = { workspace: "demo", slug, vm: "fuzz-vm", parentAgentId: "" };
  const what = { command: ["true"], workingDirectory: "/", expectsSpawnSecrets: false };
  return fuzzed.agents.spawnAgent({ agentId: randomUUID(), ...where, ...what });
}

afterAll(async () => {
  callers.catalog.close();
  callers.rotation.close();
  await stack.stop();
}, 180_000);

const pids = () => ["catalog", "rotation", "vm-agent-1"].map((part) => stack.pidOf(part));
const signingKey = (file: string) => parseSigningKey(sensitive(readFileSync(file, "utf8")));

function developerToken(tenantId: string, key = rotationKey, atMs = Date.now()): Promise<string> {
  return issueDeveloperToken(key, {
    tenantId,
    developer: "owner/name",
    role: "owner",
    ttlSeconds: 3600,
    clock: {
      now: () => new Date(atMs),
      monotonicMs: () => atMs,
      sleep: () => Promise.resolve(),
    },
  });
}

/** A machine of which nothing is there but its key. */
async function joinVm(name: string): Promise<Credentials> {
  const { vms } = stack.clientsOf(await developerToken(TENANT));
  const identity = generateKeyPairSync("ed25519");
  const { joinToken } = await vms.issueJoinToken({ name });
  const { vmToken } = await stack.clientsOf(undefined).vms.joinVm({
    joinToken,
    identityPublicKey: rawPublicKey(identity.publicKey),
    signature: sign(null, joinMessage(sensitive(joinToken)), identity.privateKey),
  });
  return vmCredentials(identity, () => Promise.resolve(sensitive(vmToken)));
}

function nameOf({ path }: ContractRpc): string {
  return path.split("/").at(-1)!;
}

/** Of the principal that the contract names for an RPC. */
function credentialsFor(rpc: ContractRpc): Promise<Record<string, string>> {
  const name = nameOf(rpc);
  if (OPEN.includes(name)) return Promise.resolve({});
  const kind = OF_VMS.includes(name) ? "vm" : OF_SERVICES.includes(name) ? "service" : "developer";
  return principals[kind](rpc.path);
}

async function send(
  rpc: ContractRpc,
  request: Buffer,
  metadata?: Record<string, string>,
): Promise<AppError | undefined> {
  const own = metadata ?? (await credentialsFor(rpc));
  return callers[rpc.service].call({ ...rpc, request, metadata: own });
}

const codeOf = (error: AppError | undefined): string => error?.code ?? "OK";
const fieldsOf = (error: AppError | undefined): string[] =>
  error?.violations.map(({ field }) => field) ?? [];

afterEach(() => {
  expect(pids()).toEqual(before);
  for (const part of ["catalog", "rotation"]) {
    const log = readFileSync(join(stack.place.logDir, `${part}.log`), "utf8");
    expect(log.split("\n").filter((line) => line.includes("with a bug"))).toEqual([]);
  }
});

describe.each(RPCS.map((rpc) => [nameOf(rpc), rpc] as const))("%s", (_, rpc) => {
  test("is never a bug, whatever message it gets, and names the field that is wrong", async () => {
    const isStream = rpc.kind !== "unary";
    await fc.assert(
      fc.asyncProperty(arbitraryMessage(rpc.input), async (request) => {
        const error = await send(rpc, request);
        expect(FAIR).toContain(codeOf(error));
        expect(error?.message.length ?? 0).toBeLessThan(2_000);
        if (error?.code !== "INVALID_ARGUMENT") return;
        expect(fieldsOf(error).length).toBeGreaterThan(0);
        expect(fieldsOf(error)).not.toContain("");
      }),
      { numRuns: isStream ? 20 : 60 },
    );
  }, 180_000);

  test("refuses bytes that are no message, and text that is not UTF-8", async () => {
    const strings = rpc.input.fields.filter(
      (field) => field.fieldKind === "scalar" && field.scalar === ScalarType.STRING,
    );
    const wrong = [
      Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x7f]), // Longer than the message.
      Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x07]), // A wire type that is none.
      ...strings.map(({ number }) => Buffer.from([(number << 3) | 2, 2, 0xc3, 0x28])),
    ];
    for (const request of wrong) {
      const error = await send(rpc, request);
      expect([request.toString("hex"), codeOf(error)]).toEqual([
        request.toString("hex"),
        "INVALID_ARGUMENT",
      ]);
    }
  });

  test("refuses a message that is larger than it takes", async () => {
    expect(codeOf(await send(rpc, Buffer.alloc(5 * 1024 * 1024)))).toBe("RESOURCE_EXHAUSTED");
  });

  if (OPEN.includes(nameOf(rpc))) return;

  test("tells a caller without good credentials nothing but that", async () => {
    const good = await developerToken(TENANT);
    const [header, claims, signature] = good.split(".") as [string, string, string];
    const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
    const changed = JSON.parse(Buffer.from(claims, "base64url").toString()) as object;
    const other = Buffer.from(JSON.stringify({ ...changed, ten: "local" })).toString("base64url");
    const vm = await principals.vm(rpc.path);
    const headers: Record<string, Record<string, string>> = {
      "no token": {},
      "an empty one": { authorization: "" },
      "no scheme": { authorization: good },
      "another scheme": { authorization: `Basic ${good}` },
      garbage: { authorization: "Bearer garbage" },
      "three dots": { authorization: "Bearer ..." },
      "a cut one": { authorization: `Bearer ${good.slice(0, -10)}` },
      unsigned: { authorization: `Bearer ${none}.${claims}.` },
      "changed claims": { authorization: `Bearer ${header}.${other}.${signature}` },
      expired: {
        authorization: `Bearer ${await developerToken(TENANT, rotationKey, Date.now() - 7200_000)}`,
      },
      "an unknown key's": {
        authorization: `Bearer ${await developerToken(TENANT, generateSigningKey("murmur-rotation"))}`,
      },
      "the wrong issuer's": {
        authorization: `Bearer ${await developerToken(TENANT, signingKey(stack.identities.catalogKeyFile))}`,
      },
      "a VM's without its proof": { authorization: vm["authorization"]! },
      "a VM's with the proof for another call": {
        ...vm,
        "murmur-proof": (await principals.vm("/murmur.none/None"))["murmur-proof"]!,
      },
    };
    for (const [what, metadata] of Object.entries(headers)) {
      const error = await send(rpc, Buffer.alloc(0), metadata);
      expect([what, codeOf(error)]).toEqual([what, "UNAUTHENTICATED"]);
    }
  });
});

const SET_SECRET = {
  name: "SECRET_A",
  plaintextValue: Buffer.from("value"),
  description: undefined,
  createdAt: undefined,
  expectedVersion: undefined,
  delivery: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
  requestId: "",
};
const REKEY = { workspace: "demo", path: "fuzzed", requestId: "", reason: "" };
const PAGE = { pageSize: 0, pageToken: "" };

/** A call that is right but for one field, and that field. */
const wrongFields: [string, () => Promise<unknown>][] = [
  ["name", () => fuzzed.secrets.setSecret({ ...SET_SECRET, name: "lower" })],
  ["plaintext_value", () => setValue(Buffer.alloc(0))],
  ["plaintext_value", () => setValue(Buffer.alloc(64 * 1024 + 1, 1))],
  ["plaintext_value", () => setValue(Buffer.from("a\0b"))],
  ["description", () => fuzzed.secrets.setSecret({ ...SET_SECRET, description: "é".repeat(513) })],
  [
    "delivery",
    () => fuzzed.secrets.setSecret({ ...SET_SECRET, delivery: SecretDelivery.UNRECOGNIZED }),
  ],
  ["request_id", () => fuzzed.secrets.setSecret({ ...SET_SECRET, requestId: "x".repeat(129) })],
  ["page_size", () => fuzzed.secrets.listSecrets({ ...PAGE, pageSize: 1001 })],
  ["page_token", () => fuzzed.secrets.listSecrets({ ...PAGE, pageToken: "garbled" })],
  ["name", () => fuzzed.vms.issueJoinToken({ name: "Not_A_Label" })],
  ["request_id", () => fuzzed.rollouts.rekeyAgent({ ...REKEY, requestId: "x".repeat(129) })],
  ["reason", () => fuzzed.rollouts.rekeyAgent({ ...REKEY, reason: "x".repeat(1025) })],
  ["page_token", () => fuzzed.rollouts.listRollouts({ workspace: "", ...PAGE, pageToken: "%" })],
  ["slug", () => spawn("x".repeat(64))],
];
const setValue = (plaintextValue: Buffer) =>
  fuzzed.secrets.setSecret({ ...SET_SECRET, plaintextValue });

test.each(wrongFields)("a wrong %s is refused by its name", async (field, call) => {
  const error: unknown = await call().catch((thrown: unknown) => thrown);
  expect(isAppError(error) ? [error.code, fieldsOf(error)] : error).toEqual([
    "INVALID_ARGUMENT",
    [field],
  ]);
});

test("a request that is repeated is carried out once, and its id is good for nothing else", async () => {
  const rekey = { ...REKEY, requestId: randomUUID() };
  await spawn("repeated");
  const ask = (change: object = {}) =>
    fuzzed.rollouts.rekeyAgent({ ...rekey, path: "repeated", ...change });
  const answers = await Promise.all([ask(), ask(), ask()]);
  answers.push(await ask());
  expect(new Set(answers.map(({ rollout }) => rollout?.rolloutId)).size).toBe(1);
  const write = { ...SET_SECRET, name: "REPEATED", requestId: randomUUID() };
  await Promise.all([fuzzed.secrets.setSecret(write), fuzzed.secrets.setSecret(write)]);
  expect((await fuzzed.secrets.setSecret(write)).secret?.version).toBe(1n);
  for (const other of [
    () => ask({ reason: "another" }),
    () => fuzzed.secrets.setSecret({ ...write, plaintextValue: Buffer.from("another") }),
  ]) {
    const error: unknown = await other().catch((thrown: unknown) => thrown);
    expect(isAppError(error) && fieldsOf(error)).toEqual(["request_id"]);
  }
});

/** A call whose bytes and headers are all the test's own. */
function post(
  session: ClientHttp2Session,
  path: string,
  { headers = {}, body = frame(Buffer.alloc(0)) }: { headers?: object; body?: Buffer } = {},
): Promise<{ status: string; grpcStatus: string | undefined }> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    let status = "";
    let grpcStatus: string | undefined;
    const note = (fields: Record<string, unknown>) => {
      if (":status" in fields) status = String(fields[":status"]);
      if ("grpc-status" in fields) grpcStatus = String(fields["grpc-status"]);
    };
    stream.on("response", note).on("trailers", note).on("error", reject);
    stream.on("close", () => resolve({ status, grpcStatus }));
    stream.resume();
    stream.end(body);
  });
}

/** A gRPC frame that says how long its message is, true or not. */
function frame(message: Buffer, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

async function withSession<T>(
  service: ContractRpc["service"],
  use: (session: ClientHttp2Session) => Promise<T>,
): Promise<T> {
  const session = connect(`http://${stack.place[service]}`);
  session.on("error", () => undefined);
  try {
    return await use(session);
  } finally {
    session.destroy();
  }
}

const DEADLINE_EXCEEDED = "4";

test.each(RPCS.map((rpc) => [nameOf(rpc), rpc] as const))(
  "%s says so when its deadline has passed before it arrives",
  async (_, rpc) => {
    const headers = { ...(await credentialsFor(rpc)), "grpc-timeout": "1n" };
    const answer = await withSession(rpc.service, (session) =>
      post(session, rpc.path, { headers }),
    );
    expect(answer.grpcStatus).toBe(DEADLINE_EXCEEDED);
  },
);

test.each(["catalog", "rotation"] as const)(
  "%s refuses what is not gRPC: another content type, an unknown method, HTTP/1",
  async (service) => {
    const { path } = RPCS.find((rpc) => rpc.service === service)!;
    await withSession(service, async (session) => {
      const headers = { "content-type": "application/json" };
      const body = Buffer.from("{}");
      expect((await post(session, path, { headers, body })).status).toBe("415");
      const unknown = await post(session, "/murmur.none.v1.None/None");
      expect(unknown.grpcStatus).toBe("12");
    });
    await expect(fetch(`http://${stack.place[service]}${path}`)).rejects.toThrow();
  },
);

describe("a client that vanishes", () => {
  /** One that stays open. */
  async function openRollout(): Promise<string> {
    await spawn("watched");
    const rekey = { workspace: "demo", path: "watched", requestId: "", reason: "" };
    return (await fuzzed.rollouts.rekeyAgent(rekey)).rollout!.rolloutId;
  }

  const handles = (part: string) => readdirSync(`/proc/${stack.pidOf(part)}/fd`).length;

  test("in the middle of a stream, of a message or of a call leaves nothing behind", async () => {
    const rolloutId = Buffer.from(await openRollout());
    const watch = frame(Buffer.concat([Buffer.from([0x0a, rolloutId.length]), rolloutId]));
    const path = "/murmur.rotation.v1.RolloutService/WatchRollout";
    const headers = await principals.developer(path);
    const handlesBefore = handles("rotation");
    for (let n = 0; n < 30; n++) {
      const body = n % 3 === 2 ? frame(Buffer.from("half"), 1000) : watch;
      await withSession("rotation", async (session) => {
        const stream = session.request({
          ...{ ":method": "POST", ":path": path, te: "trailers" },
          ...{ "content-type": "application/grpc", ...headers },
        });
        stream.on("error", () => undefined);
        if (n % 3 === 0) {
          stream.end(body);
          await new Promise((resolve) => stream.once("data", resolve));
        } else {
          // Without an end: the service still waits for more.
          stream.write(body);
          await new Promise((resolve) => session.ping(resolve));
        }
      });
    }
    // Connections to PostgreSQL that it took for the crowd are given back when idle for 30 s.
    await eventually(() => expect(handles("rotation")).toBeLessThanOrEqual(handlesBefore), {
      timeoutMs: 90_000,
    });
    const rpc = RPCS.find((it) => it.path.endsWith("/GetIdentity"))!;
    expect(codeOf(await send(rpc, Buffer.alloc(0)))).toBe("OK");
  }, 180_000);
});

test("after all of that the stack's own tenant is served as ever", async () => {
  await stack.murmur.run(["spawn", "survivor", "--", "sleep", "1000000"]);
  for (const [path, generation] of await stack.rekey("survivor"))
    await stack.applied(path, generation);
});
