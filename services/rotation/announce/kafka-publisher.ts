import { CredentialsRotated } from "../../../gen/murmur/events/v1/credentials_rotated";
import type { HealthReporter } from "../../../lib/grpc/health";
import { createProducer, type OutgoingMessage } from "../../../lib/kafka/producer";
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

export function createKafkaPublisher(
  { pool, health, log }: KafkaPublisherDeps,
  { brokers, topic }: KafkaTarget,
): KafkaPublisher {
  const producer = createProducer({ brokers, clientId: "murmur-rotation", log });
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
    send: (entries) => producer.send(entries.map((entry) => toMessage(topic, entry))),
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
