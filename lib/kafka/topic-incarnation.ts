import { randomUUID } from "node:crypto";
import {
  type Admin,
  type Consumer,
  type EachMessagePayload,
  type IHeaders,
  type Kafka,
} from "kafkajs";
import { systemClock, type Clock } from "../clock";
import { createKafkaClient, type KafkaOptions } from "./client";
import { within } from "./within";

/** A message of a topic. */
export interface TopicMessage {
  key: string;
  value: Buffer;
  headers: Record<string, string>;
  partition: number;
  offset: bigint;
}

export interface IncarnationOptions extends KafkaOptions {
  topic: string;
  onMessage: (message: TopicMessage) => void;
  onReady: () => void;
  checkMs?: number;
  stallMs?: number;
  clock?: Clock;
  /** Injected by tests, for what a real broker does once in a thousand hours. */
  createClient?: (options: KafkaOptions) => Promise<Pick<Kafka, "admin" | "consumer">>;
}

export interface Incarnation {
  /** Resolves with the reason when the consumer is of no more use. */
  readonly ended: Promise<string>;
  /** Resolves when its connections are closed, or were given up. */
  readonly closed: Promise<void>;
  end(why: string): void;
}

const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 3_000;
const CLOSE_TIMEOUT_MS = 3_000;
/** Brokers wait 3 s for a group's other members unless they are told not to. */
const JOIN_TIMEOUT_MS = 20_000;
/** The broker answers at once when there is a message; this bounds how long a stop waits. */
const LONG_POLL_MS = 500;

/**
 * One consumer from its join to its end. It never recovers by itself: kafkajs is known to stall
 * after a rebalance and to go on after a crash, so whoever started it starts another.
 */
export function startIncarnation(options: IncarnationOptions): Incarnation {
  const over = new AbortController();
  const ended = new Promise<string>((resolve) => {
    over.signal.addEventListener("abort", () => resolve(String(over.signal.reason)));
  });
  const end = (why: string) => over.abort(why);
  const closed = live(options, over).catch((error: unknown) => end(messageOf(error)));
  return { ended, closed, end };
}

async function live(options: IncarnationOptions, over: AbortController): Promise<void> {
  const kafka = await (options.createClient ?? createKafkaClient)(options);
  const admin = kafka.admin();
  const consumer = kafka.consumer({
    // A killed member with a fixed group id would be waited for until its session is over.
    groupId: `${options.clientId}-${randomUUID()}`,
    sessionTimeout: 10_000,
    heartbeatInterval: 3_000,
    maxWaitTimeInMs: LONG_POLL_MS,
    allowAutoTopicCreation: false,
    // The first group of a new cluster waits until its coordinator is there.
    retry: { retries: 6, initialRetryTime: 50, restartOnFailure: () => Promise.resolve(false) },
  });
  try {
    await within(CONNECT_TIMEOUT_MS, Promise.all([admin.connect(), consumer.connect()]));
    over.abort(await read(options, { admin, consumer, over }));
  } catch (error) {
    over.abort(messageOf(error));
  }
  const closing = Promise.allSettled([consumer.disconnect(), admin.disconnect()]);
  // Whatever does not close in time is of no more use either.
  await within(CLOSE_TIMEOUT_MS, closing).catch(() => undefined);
}

interface Connections {
  admin: Admin;
  consumer: Consumer;
  over: AbortController;
}

async function read(options: IncarnationOptions, connections: Connections): Promise<string> {
  const { consumer, over } = connections;
  const { topic } = options;
  const { signal } = over;
  const positions = new Map<number, bigint>();
  consumer.on("consumer.crash", ({ payload }) => {
    over.abort(`consumer crashed: ${payload.error.message}`);
  });
  consumer.on("consumer.group_join", () => {
    join(options, connections, positions).catch((error: unknown) => {
      over.abort(messageOf(error));
    });
  });
  await within(CONNECT_TIMEOUT_MS, consumer.subscribe({ topic, fromBeginning: false }));
  const eachMessage = (payload: EachMessagePayload) => {
    const message = toTopicMessage(payload);
    positions.set(message.partition, message.offset + 1n);
    if (!signal.aborted) options.onMessage(message);
    return Promise.resolve();
  };
  await within(CONNECT_TIMEOUT_MS, consumer.run({ autoCommit: false, eachMessage }));
  return watch(options, connections, positions);
}

/**
 * Puts the reader at the end of the topic as it is now. Left alone it would start at the end as it
 * is at the first fetch, and whatever was written between the reconciling and that would be lost.
 */
async function join(
  { topic, onReady }: IncarnationOptions,
  { admin, consumer, over }: Connections,
  positions: Map<number, bigint>,
): Promise<void> {
  for (const [partition, end] of await endsOf(admin, topic)) {
    positions.set(partition, end);
    consumer.seek({ topic, partition, offset: String(end) });
  }
  if (!over.signal.aborted) onReady();
}

/** Resolves with the reason when the consumer has to be replaced. */
async function watch(
  options: IncarnationOptions,
  { admin, over }: Connections,
  positions: ReadonlyMap<number, bigint>,
): Promise<string> {
  const { topic, checkMs = 2_000, stallMs = 5_000, clock = systemClock } = options;
  let lastProgressMs = clock.monotonicMs();
  let seen = "";
  for (;;) {
    await clock.sleep(checkMs, over.signal);
    if (over.signal.aborted) return String(over.signal.reason);
    // Taken before the ends are asked for: a position is then never ahead of its end.
    const before = new Map(positions);
    const ends = await endsOf(admin, topic);
    const changed = whatChanged(ends, before);
    if (changed) return changed;
    const isBehind = [...ends].some(([partition, end]) => (before.get(partition) ?? -1n) < end);
    const now = [...before].join();
    if (!isBehind || now !== seen) lastProgressMs = clock.monotonicMs();
    seen = now;
    const limitMs = before.size === 0 ? Math.max(stallMs, JOIN_TIMEOUT_MS) : stallMs;
    if (clock.monotonicMs() - lastProgressMs >= limitMs) return "consumer stalled";
  }
}

/** A topic that was made again, or has more partitions, is read anew. */
function whatChanged(
  ends: ReadonlyMap<number, bigint>,
  positions: ReadonlyMap<number, bigint>,
): string | undefined {
  // No positions yet: the join is not through.
  if (positions.size === 0) return undefined;
  if (ends.size !== positions.size) return "partitions were added or removed";
  const isCut = [...positions].some(([partition, at]) => (ends.get(partition) ?? 0n) < at);
  return isCut ? "the topic was cut" : undefined;
}

async function endsOf(admin: Admin, topic: string): Promise<Map<number, bigint>> {
  const offsets = await within(ANSWER_TIMEOUT_MS, admin.fetchTopicOffsets(topic));
  return new Map(offsets.map(({ partition, high }) => [partition, BigInt(high)]));
}

function toTopicMessage({ partition, message }: EachMessagePayload): TopicMessage {
  return {
    key: message.key?.toString("utf8") ?? "",
    value: message.value ?? Buffer.alloc(0),
    headers: toHeaders(message.headers ?? {}),
    partition,
    offset: BigInt(message.offset),
  };
}

function toHeaders(headers: IHeaders): Record<string, string> {
  const first = Object.entries(headers).map(([name, value]) => [
    name,
    (Array.isArray(value) ? value[0] : value)?.toString() ?? "",
  ]);
  return Object.fromEntries(first) as Record<string, string>;
}

function messageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
