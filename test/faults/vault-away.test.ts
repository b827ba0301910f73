import { readFileSync } from "node:fs";
import { join } from "node:path";
import { issueDeveloperToken } from "../../lib/identity/claims";
import { parseSigningKey } from "../../lib/identity/signing-key";
import { isAppError } from "../../lib/errors";
import { sensitive } from "../../lib/sensitive";
import { eventually } from "../harness/eventually";
import { healthOf } from "../harness/health";
import { freshRandom, setSecret, startTestStack, type TestStack } from "../harness/stack";
import { spawnWatchedTree, type WatchedTree } from "../harness/watched-tree";

/** The caller's own deadline: an answer that comes behind it would be DEADLINE_EXCEEDED. */
const IN_TIME_MS = 10_000;

let stack: TestStack;
let tree: WatchedTree;
let random = freshRandom();

beforeAll(async () => {
  stack = await startTestStack({ withVault: true });
  await stack.setTwins(random);
  tree = await spawnWatchedTree(stack, "fix-auth", random);
}, 360_000);

afterAll(async () => {
  await stack.stop();
  tree.remove();
}, 360_000);

/** A tenant whose data key the catalog has never had open. */
async function newTenant(name: string) {
  const file = readFileSync(stack.identities.rotationKeyFile, "utf8");
  const token = await issueDeveloperToken(parseSigningKey(sensitive(file)), {
    tenantId: name,
    developer: "local/other",
    role: "owner",
    ttlSeconds: 600,
  });
  return stack.clientsOf(token);
}

async function callVault(path: string, body: object, token = ""): Promise<void> {
  const answer = await fetch(`${stack.place.vault!.address}/v1/${path}`, {
    method: "PUT",
    headers: { "X-Vault-Token": token },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
}

/** Takes Vault away; the returned function brings it back. */
const absences: [string, () => Promise<() => Promise<void>>][] = [
  [
    "frozen",
    () => {
      const thaw = stack.freeze("vault");
      return Promise.resolve(() => {
        thaw();
        return Promise.resolve();
      });
    },
  ],
  [
    "sealed",
    async () => {
      const file = join(stack.place.dataDir, "vault", "keys.json");
      const keys = JSON.parse(readFileSync(file, "utf8")) as { token: string; unsealKey: string };
      await callVault("sys/seal", {}, keys.token);
      return () => callVault("sys/unseal", { key: keys.unsealKey });
    },
  ],
];

test.each(absences)(
  "with Vault %s only what no remembered data key serves is UNAVAILABLE, until it is back",
  async (how, takeAway) => {
    const tenant = await newTenant(`tenant-${how}`);
    const services = [stack.pidOf("catalog"), stack.pidOf("rotation")];
    const bringBack = await takeAway();
    try {
      // The tenant whose key is remembered writes, rekeys and delivers as ever.
      random = freshRandom();
      await stack.setTwins(random);
      for (const [path, generation] of await stack.rekey("fix-auth"))
        await stack.applied(path, generation);
      await tree.uses(random);

      const startMs = performance.now();
      const write = setSecret(tenant, "FIRST", "value", IN_TIME_MS);
      const error: unknown = await write.catch((thrown: unknown) => thrown);
      expect(isAppError(error) && error.code).toBe("UNAVAILABLE");
      expect(isAppError(error) && error.retryAfterMs).toBeGreaterThan(0);
      expect(performance.now() - startMs).toBeLessThan(IN_TIME_MS);
      // A write that could not be encrypted is not stored, and what needs no key is served.
      const { secrets } = await tenant.secrets.listSecrets({ pageSize: 0, pageToken: "" });
      expect(secrets).toEqual([]);
      expect(await healthOf(stack.place.catalog, "")).toBe("SERVING");
    } finally {
      await bringBack();
    }
    await eventually(() => setSecret(tenant, "FIRST", "value"), { timeoutMs: 60_000 });
    expect([stack.pidOf("catalog"), stack.pidOf("rotation")]).toEqual(services);
  },
  360_000,
);

test("a Vault that was killed serves a new tenant as soon as it is back", async () => {
  const tenant = await newTenant("tenant-killed");
  const back = stack.kill("vault");
  random = freshRandom();
  await stack.setTwins(random);
  for (const [path, generation] of await stack.rekey("fix-auth"))
    await stack.applied(path, generation);
  await tree.uses(random);
  await back;
  await eventually(() => setSecret(tenant, "FIRST", "value"), { timeoutMs: 60_000 });
}, 240_000);
