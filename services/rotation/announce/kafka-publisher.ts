import { CredentialsRotated } from "../../../gen/murmur/events/v1/credentials_rotated";
import type { HealthReporter } from "../../../lib/grpc/health";
import { createProducer, type OutgoingMessage } from "../../../lib/kafka/producer";
import { ensureTopic } from "../../../lib/kafka/topic";
import type { Log } from "../../../lib/log";
import type { Pool } from "../../../lib/postgres/db";
import type { OutboxEntry } from "../../../lib/postgres/outbox";
import { createOutboxPublisher } from "../../../lib/postgres/outbox-publisher";
import { ROTATION_OUTBOX, toAnnouncement, type OutboxRow } from "./outbox";

export interface KafkaTarget {
  brokers: readonly string[];
  topic: string;
}

export interface KafkaPublisherDeps {
  pool: Pool;
  health: HealthReporter;
  log: Log;
}

/** Sends the outbox to Kafka from one replica at a time. */
export interface KafkaPublisher {
  /** Looks at once. */
  wake(): void;
  run(signal: AbortSignal): Promise<void>;
}

/** The name on the health service: NOT_SERVING means `kafka: away`, which fails no call. */
const HEALTH_NAME = "kafka";
const SOURCE = "murmur/rotation";
const TYPE = "murmur.credentials-rotated.v1";
/** For a topic that nobody made: events are wake-ups, worth nothing when they are old. */
const TOPIC = { partitions: 3, retentionMs: 24 * 3_600_000 };

export function createKafkaPublisher(
  { pool, health, log }: KafkaPublisherDeps,
  { brokers, topic }: KafkaTarget,
): KafkaPublisher {
  const producer = createProducer({ brokers, clientId: "murmur-rotation", log });
  let ready: Promise<void> | undefined;
  // Again after each failure: the topic may have been deleted, or never have been made.
  const ensureReady = () =>
    (ready ??= ensureTopic({ brokers, clientId: "murmur-rotation", log }, { topic, ...TOPIC }));
  const send = async (messages: OutgoingMessage[]) => {
    try {
      await ensureReady();
      await producer.send(messages);
    } catch (error) {
      ready = undefined;
      throw error;
    }
  };
  let isAway: boolean | undefined;
  const note = (away: boolean, error?: unknown) => {
    if (away === isAway) return;
    isAway = away;
    health.set(HEALTH_NAME, !away);
    if (away) log.warn("kafka: away", { error });
    else log.info("kafka: connected");
  };
  const publisher = createOutboxPublisher({
    pool,
    outbox: ROTATION_OUTBOX,
    name: "kafka",
    send: (entries) => send(entries.map((entry) => toMessage(topic, entry))),
    onAttempt: (error) => {
      note(error !== undefined, error);
    },
    log,
  });
  return {
    wake: () => {
      publisher.wake();
    },
    async run(signal) {
      // Until the first attempt has shown the contrary.
      health.set(HEALTH_NAME, true);
      // Before the first event, so that VMs find a topic to read.
      ensureReady().catch((error: unknown) => {
        ready = undefined;
        note(true, error);
      });
      await publisher.run(signal);
      await producer.close();
    },
  };
}

/** CloudEvents in Kafka's binary mode; ids and numbers only, no name and no reason. */
export function toMessage(topic: string, { row, at }: OutboxEntry<OutboxRow>): OutgoingMessage {
  const { eventId, rotationId, tenantId, vmId, targets, traceparent } = toAnnouncement(row);
  const event = { eventId, rotationId, tenantId, vmId, targets: [...targets], time: at };
  return {
    topic,
    key: `${tenantId}/${vmId}`,
    value: Buffer.from(CredentialsRotated.encode(event).finish()),
    headers: {
      ce_specversion: "1.0",
      ce_id: eventId,
      ce_source: SOURCE,
      ce_type: TYPE,
      ce_time: at.toISOString(),
      "content-type": "application/protobuf",
      ...(traceparent !== "" && { traceparent }),
    },
  };
}
