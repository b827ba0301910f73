import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { type AppError, isAppError } from "../../lib/errors";
import { eventually } from "../harness/eventually";
import { freshRandom, startTestStack, type TestStack, WORKSPACE } from "../harness/stack";
import { spawnWatchedTree, type WatchedTree } from "../harness/watched-tree";

/** What a caller allows, and the command line too. */
const DEADLINE_MS = 10_000;
const SERVICE_AGAIN_MS = 30_000;
const SERVICES = ["catalog", "rotation", "vm-agent-1"];

let stack: TestStack;
let tree: WatchedTree;
let random = freshRandom();

beforeAll(async () => {
  stack = await startTestStack();
  await stack.setTwins(random);
  tree = await spawnWatchedTree(stack, "fix-auth", random);
}, 360_000);

afterAll(async () => {
  await stack.stop();
  tree.remove();
}, 360_000);

const page = { pageSize: 0, pageToken: "" };

function secret(name: string, requestId: string) {
  return {
    name,
    plaintextValue: Buffer.from("value"),
    description: undefined,
    createdAt: undefined,
    expectedVersion: undefined,
    delivery: SecretDelivery.SECRET_DELIVERY_UNSPECIFIED,
    requestId,
  };
}

/** Each makes one call; each is safe to repeat. */
function calls(id: string): Record<string, () => Promise<unknown>> {
  const { secrets, workspaces, vms, agents, rollouts, vmSync } = stack.clients;
  const control = { timeoutMs: DEADLINE_MS };
  const path = { workspace: WORKSPACE, path: "fix-auth" };
  return {
    SetSecret: () => secrets.setSecret(secret("WRITTEN", id), control),
    ListSecrets: () => secrets.listSecrets(page, control),
    GetWorkspace: () => workspaces.getWorkspace({ name: WORKSPACE }, control),
    IssueJoinToken: () => vms.issueJoinToken({ name: "vm-2" }, control),
    GetAgent: () => agents.getAgent(path, control),
    SpawnAgent: () =>
      agents.spawnAgent(
        {
          agentId: id,
          workspace: WORKSPACE,
          slug: `a-${id}`,
          vm: "vm-1",
          parentAgentId: "",
          command: ["sleep", "1000000"],
          workingDirectory: "/",
          expectsSpawnSecrets: false,
        },
        control,
      ),
    RekeyAgent: () => rollouts.rekeyAgent({ ...path, requestId: id, reason: "" }, control),
    ListRollouts: () => rollouts.listRollouts({ workspace: "", ...page }, control),
    ListVmStatuses: () => vmSync.listVmStatuses({}, control),
  };
}

/** The outcome in words, and how long it took to be known. */
async function outcomeOf(call: () => Promise<unknown>) {
  const startMs = performance.now();
  const answer = await call().then(
    () => "OK",
    (error: unknown) => describeError(error),
  );
  return { answer, tookMs: performance.now() - startMs };
}

function describeError(error: unknown): string {
  if (!isAppError(error)) return String(error);
  const { code, retryAfterMs = 0 }: AppError = error;
  return retryAfterMs > 0 ? `${code}, retry` : code;
}

/** What is wrong between the rows of an acknowledged change, its audit and its announcement. */
async function disagreements(): Promise<unknown[]> {
  return [
    ...(await stack.query(
      `select rollout_id, 'rollout without audit' as fault from rotation.rollouts r
        where not exists (select from rotation.audit
          where action = 'agent.rekey' and object_id = r.rollout_id::text)
       union all
       select rollout_id, 'rollout without targets' from rotation.rollouts r
        where not exists (select from rotation.targets t where t.rollout_id = r.rollout_id)`,
    )),
    ...(await stack.query(
      `select object_id, 'audit without rollout' as fault from rotation.audit
        where action = 'agent.rekey'
          and object_id not in (select rollout_id::text from rotation.rollouts)`,
    )),
    // A rekey that another overtook raises nothing and announces nothing; what is desired is announced.
    ...(await stack.query(
      `select agent_id, 'desired generation without event' as fault from rotation.agents
        where not exists (select from rotation.outbox
          where targets @> jsonb_build_array(jsonb_build_array(agent_id, desired::text)))`,
    )),
    ...(await stack.query(
      `select 'versions and audit differ' as fault
        where (select count(*) from catalog.secret_versions)
           <> (select count(*) from catalog.audit where action = 'secret.set' and outcome = 'ok')`,
    )),
  ];
}

/** Until nobody feels the absence any more; then all has come to the newest generation. */
async function expectRecovery(requestId: string): Promise<void> {
  await eventually(
    async () => {
      for (const [name, call] of Object.entries(calls(requestId)))
        expect([name, (await outcomeOf(call)).answer]).toEqual([name, "OK"]);
    },
    { timeoutMs: SERVICE_AGAIN_MS, everyMs: 100 },
  );
  random = freshRandom();
  await stack.setTwins(random);
  for (const [path, generation] of await stack.rekey("fix-auth"))
    await stack.applied(path, generation, SERVICE_AGAIN_MS);
  await tree.uses(random);
  expect(await disagreements()).toEqual([]);
}

test("while PostgreSQL is frozen every call is UNAVAILABLE in time, and then all goes on", async () => {
  const before = [...SERVICES.map((part) => stack.pidOf(part)), ...tree.identities()];
  const requestId = randomUUID();
  const thaw = stack.freeze("postgres");
  const asked = Object.entries(calls(requestId)).map(async ([name, call]) => {
    const { answer, tookMs } = await outcomeOf(call);
    return [name, answer, tookMs < DEADLINE_MS ? "in time" : `${tookMs} ms`];
  });
  const outcomes = await Promise.all(asked);
  thaw();
  expect(outcomes).toEqual(outcomes.map(([name]) => [name, "UNAVAILABLE, retry", "in time"]));
  await expectRecovery(requestId);
  expect([...SERVICES.map((part) => stack.pidOf(part)), ...tree.identities()]).toEqual(before);
}, 360_000);

test("PostgreSQL killed again and again under rekeys leaves nothing half done and nothing restarted", async () => {
  const before = [...SERVICES.map((part) => stack.pidOf(part)), ...tree.identities()];
  const accepted: string[] = [];
  const surprises: string[] = [];
  const working = { isOver: false };
  /** As patient clients: each request again until it is answered, then the next. */
  const client = async () => {
    while (!working.isOver) {
      const requestId = randomUUID();
      await eventually(
        async () => {
          const { SetSecret, RekeyAgent } = calls(requestId);
          for (const call of [SetSecret!, RekeyAgent!]) {
            const { answer } = await outcomeOf(call);
            // Anything but these two would be a bug.
            if (!["OK", "UNAVAILABLE, retry"].includes(answer)) surprises.push(answer);
            expect(answer).toBe("OK");
          }
        },
        { timeoutMs: 30_000, everyMs: 20 },
      );
      accepted.push(requestId);
    }
  };
  const rolloutsBefore = await countOf("rotation.rollouts");
  const versionsBefore = await countOf("catalog.secret_versions");
  const clients = [client(), client(), client()];
  for (let kill = 0; kill < 4; kill++) {
    const enough = accepted.length + 5;
    await eventually(() => expect(accepted.length).toBeGreaterThan(enough), { timeoutMs: 60_000 });
    await delay(Math.random() * 100);
    await stack.kill("postgres");
  }
  working.isOver = true;
  await Promise.all(clients);
  expect(surprises).toEqual([]);
  // Each once, however often it was asked for.
  expect(await countOf("rotation.rollouts")).toBe(rolloutsBefore + accepted.length);
  expect(await countOf("catalog.secret_versions")).toBe(versionsBefore + accepted.length);
  await expectRecovery(randomUUID());
  expect([...SERVICES.map((part) => stack.pidOf(part)), ...tree.identities()]).toEqual(before);
}, 360_000);

async function countOf(table: string): Promise<number> {
  const [row] = await stack.query<{ count: string }>(`select count(*) from ${table}`);
  return Number(row!.count);
}
