import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { eventually } from "../harness/eventually";
import { hashesOf, newKey } from "../harness/bindings";
import { API_KEY, toShown } from "../harness/credentials";
import { startTestStack, type StackClients, type TestStack } from "../harness/stack";
import { formsOf, LeakSearch } from "./leaks";

const NO_PAGE = { pageSize: 0, pageToken: "" };
const NOBODY = { code: "UNAUTHENTICATED", message: "identity token is missing or expired" };
/** So long the catalog may remember a key, and a slow machine be busy. */
const FELT = { timeoutMs: 30_000 };

let stack: TestStack;
let own: string;
/** All that nobody may find. */
const marks: string[] = [];
const errors: unknown[] = [];

const secretsBy = (value: string) => stack.clientsOf(value).secrets.listSecrets(NO_PAGE);
const rolloutsBy = (value: string) =>
  stack.clientsOf(value).rollouts.listRollouts({ workspace: "", ...NO_PAGE });
const create = async (by: StackClients["credentials"] = stack.clients.credentials) => {
  const requestId = randomUUID();
  const shown = toShown(await by.createCredential({ ...API_KEY, requestId }));
  marks.push(shown.value, requestId);
  return shown;
};
const isNobody = async (call: Promise<unknown>) => {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  errors.push(error);
  expect(error).toMatchObject(NOBODY);
};

beforeAll(async () => {
  own = mkdtempSync(join(tmpdir(), "murmur-keys-"));
  stack = await startTestStack({
    withGateway: true,
    settings: { MURMUR_LOG_LEVEL: "debug" },
  });
}, 240_000);
afterAll(async () => {
  await stack.stop();
  rmSync(own, { recursive: true });
}, 120_000);

test("a key works with catalog and rotation, until it is rotated without grace", async () => {
  const { value, credential } = await create();
  await secretsBy(value);
  await rolloutsBy(value);
  const requestId = randomUUID();
  const { credentialId } = credential;
  const rotated = await stack
    .clientsOf(value)
    .credentials.rotateCredential({ credentialId, graceSeconds: 0, requestId });
  marks.push(rotated.value, requestId);
  await isNobody(rolloutsBy(value));
  await eventually(() => isNobody(secretsBy(value)), FELT);
  await secretsBy(rotated.value);
  await rolloutsBy(rotated.value);
});

test("keys work again by themselves when rotation and the database have been killed", async () => {
  const { value } = await create();
  await Promise.all(["rotation", "postgres"].map((part) => stack.kill(part)));
  await eventually(async () => {
    await secretsBy(value);
    await rolloutsBy(value);
  }, FELT);
}, 240_000);

test("agents are claimed and freed by proofs of their keys", async () => {
  const { bindings } = stack.clients;
  const { hash, proof, prefix } = hashesOf(newKey());
  const wrong = hashesOf(newKey()).proof;
  const seen = { agentHash: hash, name: "", keyPrefix: prefix };
  const { agentId } = await bindings.observeKey(seen);
  for (const call of [bindings.claimAgent, bindings.deactivateAgent])
    await call({ agentId, hashProof: wrong }).catch((error: unknown) => errors.push(error));
  await bindings.claimAgent({ agentId, hashProof: proof });
  await bindings.deactivateAgent({ agentId, hashProof: proof });
  expect((await bindings.observeKey(seen)).created).toBe(true);
  marks.push(proof, wrong);
});

test("no value, no request id and no proof is in any log, table, file or error", async () => {
  const { value, credential } = await create();
  const { credentialId } = credential;
  await stack.clients.credentials.revokeCredential({ credentialId, at: undefined });
  await isNobody(rolloutsBy(value));
  await isNobody(secretsBy(value));
  expect(marks.length).toBeGreaterThanOrEqual(10);
  // The first characters are shown; what is secret comes after them.
  const secrets = marks.map((mark) => mark.slice(12));
  const search = new LeakSearch(secrets.flatMap(formsOf), join(own, "patterns"));
  expect(search.isIn(JSON.stringify({ value }))).toBe(true);
  expect(errors.filter((error) => search.isIn(inspect(error, { depth: 10 })))).toEqual([]);
  expect(await search.inDirectory(stack.place.dataDir)).toEqual([]);
  expect(await search.inDirectory(stack.place.runDir)).toEqual([]);
}, 120_000);
