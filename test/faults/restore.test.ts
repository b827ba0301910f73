import { join } from "node:path";
import type { Part } from "../../dev/parts/part";
import { freePort } from "../../dev/parts/free-port";
import { startRotation } from "../../dev/stack/services";
import { AgentServiceService } from "../../gen/murmur/rotation/v1/agents";
import { RolloutServiceService, TargetState } from "../../gen/murmur/rotation/v1/rollouts";
import { type Channel, createClient, openChannel } from "../../lib/grpc/client";
import { bearerCredentials } from "../../lib/identity/credentials";
import { sensitive } from "../../lib/sensitive";
import { compileSetReader, type SetReader } from "../harness/set-reader";
import { eventually } from "../harness/eventually";
import { freshRandom, startTestStack, type TestStack, WORKSPACE } from "../harness/stack";
import { spyOnTopic, type TopicSpy } from "../harness/topic-spy";
import { spawnWatchedTree, type WatchedTree } from "../harness/watched-tree";
import { dump, restore } from "./restored-database";

const TOPIC = "murmur.credentials-rotated.v1";
const SERVICE_AGAIN_MS = 60_000;

let stack: TestStack;
let spy: TopicSpy;
let tree: WatchedTree;
let second: Part;
let channel: Channel;
let reader: SetReader;

beforeAll(async () => {
  reader = await compileSetReader();
  // Both readers of the outbox are at work: the publisher, and the tail that wakes the VM's stream.
  stack = await startTestStack({ withKafka: true, settings: { MURMUR_WAKE_UPS: "stream" } });
  spy = await spyOnTopic(stack.place.kafkaBrokers!, TOPIC);
  const address = `127.0.0.1:${await freePort()}`;
  second = await startRotation({ ...stack.place, rotation: address }, stack.identities);
  const credentials = bearerCredentials(sensitive(await stack.identities.issueToken()));
  channel = openChannel({ address, credentials, timeoutMs: 10_000 });
  const random = freshRandom();
  await stack.setTwins(random);
  tree = await spawnWatchedTree(stack, "fix-auth", random);
}, 360_000);

afterAll(async () => {
  channel.close();
  await spy.stop();
  await second.stop();
  await stack.stop();
  tree.remove();
  reader.remove();
}, 360_000);

/** Through the replica to which no VM is connected: the other one learns of it from its tail. */
async function rekeyBeside(): Promise<{ rolloutId: string; generations: Map<string, bigint> }> {
  const { rekeyAgent } = createClient(RolloutServiceService, channel);
  const request = { workspace: WORKSPACE, path: "fix-auth", requestId: "", reason: "" };
  const { rollout, targets } = await rekeyAgent(request);
  const generations = new Map(targets.map(({ path, generation }) => [path, generation]));
  return { rolloutId: rollout!.rolloutId, generations };
}

/** A new value reaches every process, and its event the topic. */
async function expectDelivery(): Promise<void> {
  const random = freshRandom();
  const { rolloutId, generations } = await eventually(
    async () => {
      await stack.setTwins(random);
      return rekeyBeside();
    },
    { timeoutMs: SERVICE_AGAIN_MS },
  );
  for (const [path, generation] of generations)
    await stack.applied(path, generation, SERVICE_AGAIN_MS);
  await tree.uses(random, SERVICE_AGAIN_MS);
  await eventually(() => expect(spy.countOf(rolloutId)).toBeGreaterThan(0), {
    timeoutMs: SERVICE_AGAIN_MS,
  });
}

/** Until every service has let go of its connections to the server that is no more. */
async function expectService(): Promise<void> {
  const path = { workspace: WORKSPACE, path: "fix-auth" };
  const { getAgent } = createClient(AgentServiceService, channel);
  const { getWorkspace } = stack.clients.workspaces;
  await eventually(
    () => Promise.all([stack.agent("fix-auth"), getAgent(path), getWorkspace({ name: WORKSPACE })]),
    { timeoutMs: SERVICE_AGAIN_MS },
  );
}

/** Transactions that leave nothing but a higher number for the next one. */
async function spendTransactions(): Promise<void> {
  await stack.query(
    `do $$ begin for n in 1..3000 loop perform pg_current_xact_id(); commit; end loop; end $$`,
  );
}

test("a database restored from a dump into another cluster silences neither reader of the outbox", async () => {
  const before = tree.identities();
  // So that every row and cursor of the dump lies in the future of the new cluster.
  await spendTransactions();
  await expectDelivery();
  const saved = await dump(stack.place.postgresUrl);
  await restore(stack, saved);
  await expectDelivery();
  await expectDelivery();
  expect(tree.identities()).toEqual(before);
}, 360_000);

test("a dump that is older than what VMs have takes none back, and is caught up with by rekeys", async () => {
  const LOST = 3;
  const before = tree.identities();
  const directory = join(stack.vms[0]!.runDir, "agents", (await stack.agent("fix-auth")).agentId);
  const stopReading = reader.start(directory);
  const saved = await dump(stack.place.postgresUrl);
  for (let n = 0; n < LOST; n++) await expectDelivery();
  const { appliedGeneration: newest } = await stack.agent("fix-auth");
  await restore(stack, saved);
  await expectService();
  for (let n = 1; n <= LOST; n++) {
    const { rolloutId, generations } = await rekeyBeside();
    const generation = generations.get("fix-auth")!;
    expect(generation).toBe(newest - BigInt(LOST - n));
    // Who has a later set by this number must not be taken for one who has this set.
    if (generation < newest) await expectPending(rolloutId);
  }
  await expectDelivery();
  const report = await stopReading();
  expect(report).toMatchObject({ mixed: 0, absent: 0, wrong: 0, wentBack: 0 });
  expect(tree.identities()).toEqual(before);
}, 360_000);

async function expectPending(rolloutId: string): Promise<void> {
  const { targets } = await createClient(RolloutServiceService, channel).getRollout({ rolloutId });
  expect(targets.map(({ state }) => state)).toEqual(
    targets.map(() => TargetState.TARGET_STATE_PENDING),
  );
}
