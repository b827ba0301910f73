import { type Producer } from "kafkajs";
import { createKafkaClient, type KafkaOptions } from "./client";
import { toKafkaError } from "./errors";
import { within } from "./within";

/** A message on its way out; messages of one key keep their order. */
export interface OutgoingMessage {
  topic: string;
  key: string;
  value: Buffer;
  headers?: Record<string, string>;
}

export interface KafkaProducer {
  /**
   * Resolves when every replica in sync has the whole batch. Fails with UNAVAILABLE within the time
   * limit; part of the batch may be written then, and is written again by whoever repeats it.
   */
  send(messages: readonly OutgoingMessage[]): Promise<void>;
  close(): Promise<void>;
}

export interface ProducerOptions extends KafkaOptions {
  /** Longest a batch may take, connecting included. */
  timeoutMs?: number;
}

const CLOSE_TIMEOUT_MS = 2_000;

/**
 * Connects at the first batch and again after a failure: an idempotent producer whose sequence
 * broke (topic deleted, broker restored) would be refused for ever.
 */
export function createProducer(options: ProducerOptions): KafkaProducer {
  const { timeoutMs = 5_000 } = options;
  let connected: Promise<Producer> | undefined;

  const discard = async () => {
    const old = connected;
    connected = undefined;
    // Whether it came up or not, nothing more is expected of it.
    await within(CLOSE_TIMEOUT_MS, Promise.resolve(old?.then((it) => it.disconnect()))).catch(
      () => undefined,
    );
  };
  const write = async (messages: readonly OutgoingMessage[]) => {
    connected ??= connect(options);
    const producer = await connected;
    await producer.sendBatch({ acks: -1, timeout: timeoutMs, topicMessages: byTopic(messages) });
  };
  return {
    send: async (messages) => {
      if (messages.length === 0) return;
      try {
        await within(timeoutMs, write(messages));
      } catch (error) {
        void discard();
        throw toKafkaError(error);
      }
    },
    close: discard,
  };
}

async function connect(options: ProducerOptions): Promise<Producer> {
  const { Partitioners } = await import("kafkajs");
  const kafka = await createKafkaClient(options);
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
    // A producer that is idempotent needs at least one.
    retry: { retries: 2, initialRetryTime: 50, maxRetryTime: 500 },
  });
  await producer.connect();
  return producer;
}

function byTopic(messages: readonly OutgoingMessage[]) {
  const topics = new Map<string, OutgoingMessage[]>();
  for (const message of messages) {
    const sameTopic = topics.get(message.topic) ?? [];
    topics.set(message.topic, sameTopic);
    sameTopic.push(message);
  }
  return [...topics].map(([topic, list]) => ({
    topic,
    messages: list.map(({ key, value, headers }) => ({
      key,
      value,
      ...(headers && { headers }),
    })),
  }));
}
