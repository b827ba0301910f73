import { randomUUID } from "node:crypto";
import { type Consumer, Kafka, logLevel } from "kafkajs";

/** One message as it lies on a topic. */
export interface SeenEvent {
  key: string;
  value: Buffer;
  headers: Record<string, string>;
  /** When it was read, milliseconds of the monotonic clock. */
  atMs: number;
}

/** Reads a topic from its start with plain kafkajs, past the product's own reader. */
export interface TopicSpy {
  readonly events: readonly SeenEvent[];
  /** How often an event of this rollout or agent was seen. */
  countOf(rotationId: string): number;
  stop(): Promise<void>;
}

/** Starts reading; survives a broker that goes away and comes back. */
export async function spyOnTopic(brokers: string, topic: string): Promise<TopicSpy> {
  const events: SeenEvent[] = [];
  const kafka = new Kafka({
    brokers: brokers.split(","),
    clientId: "test-spy",
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1_000,
    requestTimeout: 2_000,
    retry: { retries: 3, initialRetryTime: 100, maxRetryTime: 300 },
  });
  let isStopped = false;
  const consumer: Consumer = kafka.consumer({
    groupId: `spy-${randomUUID()}`,
    sessionTimeout: 6_000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 100,
    metadataMaxAge: 1_000,
    retry: {
      retries: 3,
      initialRetryTime: 100,
      maxRetryTime: 300,
      // A broker that is away; once nobody looks any more, nothing may go on.
      restartOnFailure: () => Promise.resolve(!isStopped),
    },
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: ({ message: { key, value, headers = {} } }) => {
      events.push({
        key: key?.toString() ?? "",
        value: value ?? Buffer.alloc(0),
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, text]) => [name, String(text)]),
        ),
        atMs: performance.now(),
      });
      return Promise.resolve();
    },
  });
  return {
    events,
    // An id is text in the bytes of a protobuf message.
    countOf: (rotationId) => events.filter(({ value }) => value.includes(rotationId)).length,
    stop: () => {
      isStopped = true;
      return consumer.disconnect();
    },
  };
}
