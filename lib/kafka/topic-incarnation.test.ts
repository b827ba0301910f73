import { type Admin, type Consumer } from "kafkajs";
import { startIncarnation } from "./topic-incarnation";

/**
 * A broker and a consumer that has joined its group and never delivers anything: kafkajs after some
 * rebalances. `end` is the topic's end as the broker tells it.
 */
function brokenKafka() {
  const broker = { end: 7, calls: [] as string[] };
  const listeners = new Map<string, (event: object) => void>();
  const nothing = () => Promise.resolve();
  const consumer = {
    connect: nothing,
    disconnect: nothing,
    subscribe: nothing,
    on: (name: string, listener: (event: object) => void) => listeners.set(name, listener),
    seek: ({ offset }: { offset: string }) => broker.calls.push(`seek ${offset}`),
    run: () => {
      listeners.get("consumer.group_join")?.({});
      return Promise.resolve();
    },
  };
  const admin = {
    connect: nothing,
    disconnect: nothing,
    fetchTopicOffsets: () => Promise.resolve([{ partition: 0, high: String(broker.end) }]),
  };
  const kafka = {
    consumer: () => consumer as unknown as Consumer,
    admin: () => admin as unknown as Admin,
  };
  return { broker, listeners, kafka };
}

/** Given up after 50 ms unless a test is about something else, which must come first. */
function start({ broker, kafka }: ReturnType<typeof brokenKafka>, stallMs = 50) {
  return startIncarnation({
    brokers: [],
    clientId: "test",
    topic: "topic",
    checkMs: 5,
    stallMs,
    onMessage: () => broker.calls.push("message"),
    onReady: () => {
      broker.calls.push("ready");
      // Written while the caller reconciles: it must come, since the reconciling may miss it.
      broker.end += 1;
    },
    createClient: () => Promise.resolve(kafka),
  });
}

test("the end is sought before onReady, so nothing that is written after it is passed by", async () => {
  const broken = brokenKafka();
  const incarnation = start(broken);
  await incarnation.ended;
  expect(broken.broker.calls).toEqual(["seek 7", "ready"]);
});

test("a consumer that delivers nothing of what was written is given up", async () => {
  const incarnation = start(brokenKafka());
  expect(await incarnation.ended).toBe("consumer stalled");
  await incarnation.closed;
});

test("a consumer that crashes is given up at once, with the cause", async () => {
  const broken = brokenKafka();
  const incarnation = start(broken, 60_000);
  await new Promise((next) => setImmediate(next));
  broken.listeners.get("consumer.crash")?.({ payload: { error: new Error("no memory") } });
  expect(await incarnation.ended).toBe("consumer crashed: no memory");
});

test("a topic that was cut short behind the reader's back is read anew", async () => {
  const broken = brokenKafka();
  const incarnation = start(broken, 60_000);
  await new Promise((next) => setImmediate(next));
  broken.broker.end = 3;
  expect(await incarnation.ended).toBe("the topic was cut");
});
