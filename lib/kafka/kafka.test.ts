import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startKafka, type KafkaPart } from "../../dev/parts/kafka";
import { eventually } from "../../test/harness/eventually";
import { freshTopic, testKafka } from "../../test/harness/kafka";
import { createKafkaClient, withAdmin } from "./client";
import { createTopicReader, type TopicMessage, type TopicReader } from "./consumer";
import { createProducer, type KafkaProducer } from "./producer";
import { ensureTopic } from "./topic";

const AWAY = { code: "UNAVAILABLE", message: "Kafka is away" };
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

/** Longer than any healthy read takes on a machine with much else to do. */
const STALL_MS = 10_000;

/** A reader that notes what it is told. */
function readFrom(brokers: string[], topic: string, stallMs = STALL_MS) {
  const messages: TopicMessage[] = [];
  const events: string[] = [];
  const reader: TopicReader = createTopicReader({
    brokers,
    clientId: "test-reader",
    topic,
    checkMs: 200,
    stallMs,
    onMessage: (message) => messages.push(message),
    onReady: () => events.push("ready"),
    onDisconnected: () => events.push("away"),
  });
  open.push(() => reader.stop());
  const values = () => messages.map(({ value }) => value.toString());
  // A cluster's first group may be told to come again: what came before does not count.
  const joined = async () => {
    await eventually(() => expect(events.at(-1)).toBe("ready"), { timeoutMs: 60_000 });
    events.splice(0, events.length, "ready");
  };
  return { reader, messages, events, values, joined };
}

function producerFor(brokers: string[]): KafkaProducer {
  const producer = createProducer({ brokers, clientId: "test-producer" });
  open.push(() => producer.close());
  return producer;
}

/** Sends until what is sent arrives: a group that has just come back may be told to come again. */
function readsOn({ values, send }: { values: () => string[]; send: () => Promise<void> }) {
  const before = values().length;
  return eventually(
    async () => {
      await send();
      await eventually(() => expect(values().length).toBeGreaterThan(before), { timeoutMs: 1_000 });
    },
    { timeoutMs: 60_000 },
  );
}

const message = (topic: string, text: string) => ({ topic, key: "k", value: Buffer.from(text) });

describe("a topic on a living Kafka", () => {
  let brokers: string[];
  let topic: string;
  beforeAll(async () => {
    brokers = await testKafka();
  }, 180_000);
  beforeEach(async () => {
    topic = freshTopic();
    await ensureTopic({ brokers, clientId: "test" }, { topic, partitions: 3 });
  });

  test("making a topic twice leaves it as it is", async () => {
    await ensureTopic({ brokers, clientId: "test" }, { topic, partitions: 5 });
    const kafka = await createKafkaClient({ brokers, clientId: "test" });
    // A new topic's partitions get their leaders a moment after it is made.
    await eventually(async () => {
      const offsets = await withAdmin(kafka, (admin) => admin.fetchTopicOffsets(topic));
      expect(offsets).toHaveLength(3);
    });
  });

  test("a message arrives with its key, bytes and headers", async () => {
    const { joined, messages } = readFrom(brokers, topic);
    await joined();
    const value = Buffer.from([0, 255, 10]);
    await producerFor(brokers).send([{ topic, key: "acme/vm-1", value, headers: { id: "é" } }]);
    await eventually(() => expect(messages).toHaveLength(1));
    expect(messages[0]).toMatchObject({
      key: "acme/vm-1",
      value,
      headers: { id: "é" },
      offset: 0n,
    });
  });

  test("nothing that is written after onReady is lost, and nothing before it is read", async () => {
    const producer = producerFor(brokers);
    await producer.send([message(topic, "before")]);
    for (let round = 0; round < 5; round++) {
      const seen: string[] = [];
      let sent: Promise<void> | undefined;
      const sendOnce = () => {
        sent ??= producer.send([message(topic, `after ${round}`)]);
      };
      const reader = createTopicReader({
        brokers,
        clientId: "test-reader",
        topic,
        onMessage: ({ value }) => seen.push(value.toString()),
        onReady: sendOnce,
      });
      open.push(() => reader.stop());
      await eventually(() => expect(seen).toEqual([`after ${round}`]));
      await sent;
    }
  });

  test("two readers both see every message", async () => {
    const readers = [readFrom(brokers, topic), readFrom(brokers, topic)];
    for (const { joined } of readers) await joined();
    const texts = Array.from({ length: 200 }, (_, n) => String(n));
    await producerFor(brokers).send(texts.map((text) => message(topic, text)));
    for (const { values } of readers) await eventually(() => expect(values()).toEqual(texts));
  });

  test("a topic that is deleted and made again is read again", async () => {
    const { events, values, joined } = readFrom(brokers, topic);
    await joined();
    const producer = producerFor(brokers);
    await producer.send([message(topic, "first")]);
    await eventually(() => expect(values()).toEqual(["first"]));
    const kafka = await createKafkaClient({ brokers, clientId: "test" });
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [topic] }));
    await eventually(() => expect(events).toContain("away"));
    await eventually(() => ensureTopic({ brokers, clientId: "test" }, { topic }));
    await eventually(() => expect(events.at(-1)).toBe("ready"));
    await readsOn({ values, send: () => producer.send([message(topic, "second")]) });
  });

  test("a stop leaves nothing that could still deliver", async () => {
    const { reader, values, joined } = readFrom(brokers, topic);
    await joined();
    await Promise.all([reader.stop(), reader.stop()]);
    await producerFor(brokers).send([message(topic, "late")]);
    const other = readFrom(brokers, topic);
    await other.joined();
    expect(values()).toEqual([]);
  });
});

describe("a Kafka that goes away", () => {
  let kafka: KafkaPart;
  let directory: string;
  const topic = freshTopic();
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "murmur-kafka-test-"));
    kafka = await startKafka({ directory });
    await ensureTopic({ brokers: [kafka.brokers], clientId: "test" }, { topic });
  }, 180_000);
  afterAll(async () => {
    await kafka.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test("frozen: a send fails in time, the reader says so, and both recover", async () => {
    const { events, values, joined } = readFrom([kafka.brokers], topic, 2_000);
    const producer = createProducer({
      brokers: [kafka.brokers],
      clientId: "test-producer",
      timeoutMs: 3_000,
    });
    open.push(() => producer.close());
    await producer.send([message(topic, "warm")]);
    await joined();
    process.kill(kafka.pid, "SIGSTOP");
    const startMs = performance.now();
    await expect(producer.send([message(topic, "lost")])).rejects.toMatchObject(AWAY);
    expect(performance.now() - startMs).toBeLessThan(3_000 + 10_000);
    await eventually(() => expect(events).toEqual(["ready", "away"]));
    process.kill(kafka.pid, "SIGCONT");
    await eventually(() => expect(events.at(-1)).toBe("ready"), { timeoutMs: 60_000 });
    await readsOn({ values, send: () => producer.send([message(topic, "again")]) });
  }, 180_000);

  test("killed: sends are UNAVAILABLE until it is back, then the reader reads on", async () => {
    const { events, values, joined } = readFrom([kafka.brokers], topic);
    const producer = producerFor([kafka.brokers]);
    await producer.send([message(topic, "warm")]);
    await joined();
    await kafka.kill();
    await expect(producer.send([message(topic, "lost")])).rejects.toMatchObject(AWAY);
    await eventually(() => expect(events).toEqual(["ready", "away"]));
    kafka = await startKafka({ directory, port: kafka.port });
    await eventually(() => expect(events.at(-1)).toBe("ready"), { timeoutMs: 60_000 });
    await readsOn({ values, send: () => producer.send([message(topic, "again")]) });
  }, 180_000);
});
