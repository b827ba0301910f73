import { type FSWatcher, readlinkSync, watch } from "node:fs";
import { join } from "node:path";
import { Kafka, logLevel, type Message, Partitioners, type Producer } from "kafkajs";
import { eventually } from "../harness/eventually";
import { freshRandom, startTestStack, type TestStack } from "../harness/stack";
import { spyOnTopic, type SeenEvent, type TopicSpy } from "../harness/topic-spy";

const TOPIC = "murmur.credentials-rotated.v1";
const SLUGS = ["first", "second"];
const WAIT = { timeoutMs: 60_000 };
const RECONCILE_MS = 4_000;

let stack: TestStack;
let spy: TopicSpy;
let producer: Producer;

beforeAll(async () => {
  stack = await startTestStack({
    withKafka: true,
    settings: { MURMUR_RECONCILE_EVERY: `${RECONCILE_MS}ms` },
  });
  const brokers = stack.place.kafkaBrokers!;
  spy = await spyOnTopic(brokers, TOPIC);
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
  producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  await stack.setTwins(freshRandom());
  for (const slug of SLUGS) {
    await stack.murmur.run(["spawn", slug, "--", "sleep", "1000000"]);
    await stack.applied(slug, 1n);
  }
}, 360_000);

afterAll(async () => {
  await producer.disconnect();
  await spy.stop();
  await stack.stop();
}, 360_000);

/** Counts the turns of an agent's link, and shows where it leads; the kernel tells, not the product. */
class SwapWatch {
  #turns = 0;
  readonly #watcher: FSWatcher;

  constructor(private readonly directory: string) {
    this.#watcher = watch(directory, (_, name) => {
      if (name === "..data") this.#turns++;
    });
  }

  get turns(): number {
    return this.#turns;
  }

  get target(): string {
    return readlinkSync(join(this.directory, "..data"));
  }

  close(): void {
    this.#watcher.close();
  }
}

let swaps: SwapWatch[];

beforeEach(async () => {
  swaps = await Promise.all(
    SLUGS.map(async (slug) => {
      const { agentId } = await stack.agent(slug);
      return new SwapWatch(join(stack.vms[0]!.runDir, "agents", agentId));
    }),
  );
});

afterEach(() => {
  for (const swap of swaps) swap.close();
  stack.thaw();
});

/** How many of the announced events have never come. */
async function unseen(): Promise<number> {
  const rows = await stack.query<{ id: string }>("select event_id as id from rotation.outbox");
  return rows.filter(({ id }) => spy.countOf(id) === 0).length;
}

async function rekeyAll(): Promise<void> {
  await stack.setTwins(freshRandom());
  for (const slug of SLUGS)
    for (const [path, generation] of await stack.rekey(slug)) await stack.applied(path, generation);
}

const again = ({ key, value, headers }: SeenEvent): Message => ({ key, value, headers });

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** What nobody should write there, under the VM's own key. */
function nonsense({ key, value, headers }: SeenEvent): Message[] {
  return [
    { key, value: Buffer.from("no message at all"), headers },
    { key, value: null },
    { key, value: Buffer.alloc(100_000, 0xff), headers: {} },
    { key, value, headers: { ...headers, ce_type: "murmur.something-else.v9" } },
    { key: "other-tenant/other-vm", value, headers },
    { key: null, value },
  ];
}

test("events that come five times, shuffled, from the start again, or are nonsense turn no link", async () => {
  for (let n = 0; n < 3; n++) await rekeyAll();
  await eventually(async () => expect(await unseen()).toBe(0), WAIT);
  const turned = swaps.map(({ turns }) => turns);
  const targets = swaps.map(({ target }) => target);
  const events = [...spy.events];
  const fiveTimes = Array.from({ length: 5 }, () => events).flat();
  const messages = [
    ...shuffled(fiveTimes).map(again),
    ...nonsense(events[0]!),
    ...events.map(again),
  ];
  await producer.send({ topic: TOPIC, messages });
  // Behind all of them on its VM's key comes one that is news: when it is in force, they were read.
  const [path, generation] = [...(await stack.rekey("first"))][0]!;
  await stack.applied(path, generation);
  await eventually(() => expect(swaps[0]!.turns).toBeGreaterThan(turned[0]!));
  expect(swaps.map(({ turns }, n) => turns - turned[n]!)).toEqual([1, 0]);
  expect(swaps[0]!.target).not.toBe(targets[0]);
  expect(swaps[1]!.target).toBe(targets[1]);
}, 360_000);

test("events that are never delivered, and then late, end in the same state", async () => {
  await eventually(async () => expect(await unseen()).toBe(0), WAIT);
  const thaw = stack.freeze("kafka");
  const generations = new Map<string, bigint>();
  for (const slug of SLUGS)
    for (const [path, generation] of await stack.rekey(slug)) generations.set(path, generation);
  // Nothing wakes the VM but its own timer, which has jitter.
  for (const [path, generation] of generations)
    await stack.applied(path, generation, 10 * RECONCILE_MS);
  const targets = swaps.map(({ target }) => target);
  expect(await unseen()).toBe(generations.size);
  thaw();
  await eventually(async () => expect(await unseen()).toBe(0), WAIT);
  const [path, generation] = [...(await stack.rekey("first"))][0]!;
  await stack.applied(path, generation);
  await eventually(() => expect(swaps[0]!.turns).toBeGreaterThan(1));
  expect(swaps.map(({ turns }) => turns)).toEqual([2, 1]);
  expect(swaps[1]!.target).toBe(targets[1]);
}, 240_000);

test("a topic that is deleted is made again, and wakes VMs again", async () => {
  const kafka = new Kafka({
    brokers: [stack.place.kafkaBrokers!],
    logLevel: logLevel.NOTHING,
  });
  const admin = kafka.admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [TOPIC] });
  try {
    // The first have to wait for the timer; in the end they come at once, and not by its luck.
    await eventually(
      async () => {
        for (let n = 0; n < 4; n++) {
          const [path, generation] = [...(await stack.rekey("second"))][0]!;
          await stack.applied(path, generation, RECONCILE_MS / 8);
        }
      },
      { timeoutMs: 90_000 },
    );
    await eventually(async () => expect(await admin.listTopics()).toContain(TOPIC), WAIT);
  } finally {
    await admin.disconnect();
  }
}, 240_000);
