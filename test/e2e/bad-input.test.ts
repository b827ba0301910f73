import { randomUUID } from "node:crypto";
import { ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";
import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { type AppError, isAppError } from "../../lib/errors";
import { generateSigningKey } from "../../lib/identity/signing-key";
import { arbitraryMessage } from "./arbitrary-message";
import { codeOf, nameOf, OPEN, RPCS, signingKeyOf, useFuzzedStack } from "./fuzzed-stack";

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
const rig = useFuzzedStack();
const { developerToken, send, spawn } = rig;

const fieldsOf = (error: AppError | undefined): string[] =>
  error?.violations.map(({ field }) => field) ?? [];

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
  }, 360_000);

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
    const good = await developerToken();
    const [header, claims, signature] = good.split(".") as [string, string, string];
    const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
    const changed = JSON.parse(Buffer.from(claims, "base64url").toString()) as object;
    const other = Buffer.from(JSON.stringify({ ...changed, ten: "local" })).toString("base64url");
    const vm = await rig.principals.vm(rpc.path);
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
        authorization: `Bearer ${await developerToken(undefined, Date.now() - 7200_000)}`,
      },
      "an unknown key's": {
        authorization: `Bearer ${await developerToken(generateSigningKey("murmur-rotation"))}`,
      },
      "the wrong issuer's": {
        authorization: `Bearer ${await developerToken(signingKeyOf(rig.stack.identities.catalogKeyFile))}`,
      },
      "a VM's without its proof": { authorization: vm["authorization"]! },
      "a VM's with the proof for another call": {
        ...vm,
        "murmur-proof": (await rig.principals.vm("/murmur.none/None"))["murmur-proof"]!,
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
  ["name", () => rig.fuzzed.secrets.setSecret({ ...SET_SECRET, name: "lower" })],
  ["plaintext_value", () => setValue(Buffer.alloc(0))],
  ["plaintext_value", () => setValue(Buffer.alloc(64 * 1024 + 1, 1))],
  ["plaintext_value", () => setValue(Buffer.from("a\0b"))],
  [
    "description",
    () => rig.fuzzed.secrets.setSecret({ ...SET_SECRET, description: "é".repeat(513) }),
  ],
  [
    "delivery",
    () => rig.fuzzed.secrets.setSecret({ ...SET_SECRET, delivery: SecretDelivery.UNRECOGNIZED }),
  ],
  ["request_id", () => rig.fuzzed.secrets.setSecret({ ...SET_SECRET, requestId: "x".repeat(129) })],
  ["page_size", () => rig.fuzzed.secrets.listSecrets({ ...PAGE, pageSize: 1001 })],
  ["page_token", () => rig.fuzzed.secrets.listSecrets({ ...PAGE, pageToken: "garbled" })],
  ["name", () => rig.fuzzed.vms.issueJoinToken({ name: "Not_A_Label" })],
  ["request_id", () => rig.fuzzed.rollouts.rekeyAgent({ ...REKEY, requestId: "x".repeat(129) })],
  ["reason", () => rig.fuzzed.rollouts.rekeyAgent({ ...REKEY, reason: "x".repeat(1025) })],
  [
    "page_token",
    () => rig.fuzzed.rollouts.listRollouts({ workspace: "", ...PAGE, pageToken: "%" }),
  ],
  ["slug", () => spawn("x".repeat(64))],
];
const setValue = (plaintextValue: Buffer) =>
  rig.fuzzed.secrets.setSecret({ ...SET_SECRET, plaintextValue });

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
    rig.fuzzed.rollouts.rekeyAgent({ ...rekey, path: "repeated", ...change });
  const answers = await Promise.all([ask(), ask(), ask()]);
  answers.push(await ask());
  expect(new Set(answers.map(({ rollout }) => rollout?.rolloutId)).size).toBe(1);
  const write = { ...SET_SECRET, name: "REPEATED", requestId: randomUUID() };
  await Promise.all([rig.fuzzed.secrets.setSecret(write), rig.fuzzed.secrets.setSecret(write)]);
  expect((await rig.fuzzed.secrets.setSecret(write)).secret?.version).toBe(1n);
  for (const other of [
    () => ask({ reason: "another" }),
    () => rig.fuzzed.secrets.setSecret({ ...write, plaintextValue: Buffer.from("another") }),
  ]) {
    const error: unknown = await other().catch((thrown: unknown) => thrown);
    expect(isAppError(error) && fieldsOf(error)).toEqual(["request_id"]);
  }
});
test("after all of that the stack's own tenant is served as ever", async () => {
  await rig.stack.murmur.run(["spawn", "survivor", "--", "sleep", "1000000"]);
  for (const [path, generation] of await rig.stack.rekey("survivor"))
    await rig.stack.applied(path, generation);
});
