import { CredentialsRotated } from "../../../gen/murmur/events/v1/credentials_rotated";
import { type Clock, systemClock } from "../../../lib/clock";
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
  clock?: Clock;
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
const CLIENT_ID = "murmur-rotation";
/** Enough for readers that share the work; a VM reads all of them and picks its own. */
const PARTITIONS = 6;
/** Events only wake: whoever was away longer asks for the state anyway. */
const RETENTION_MS = 24 * 3_600_000;
/** How often the brokers are asked for a sign of life, so that `away` is known without an event. */
const PROBE_MS = 5_000;

export function createKafkaPublisher(
  { pool, health, log, clock = systemClock }: KafkaPublisherDeps,
  { brokers, topic }: KafkaTarget,
): KafkaPublisher {
  const options = { brokers, clientId: CLIENT_ID, log };
  const producer = createProducer(options);
  let isAway: boolean | undefined;
  const note = (error?: unknown) => {
    if (isAway === (error !== undefined)) return;
    isAway = error !== undefined;
    health.set(HEALTH_NAME, !isAway);
    if (isAway) log.warn("kafka: away", { error });
    else log.info("kafka: there", { topic });
  };
  const publisher = createOutboxPublisher({
    pool,
    outbox: ROTATION_OUTBOX,
    name: HEALTH_NAME,
    send: (entries) => producer.send(entries.map((entry) => toMessage(topic, entry))),
    onAttempt: note,
    clock,
    log,
  });
  /** Makes the topic when it is not there: at the start, and after somebody deleted it. */
  const probe = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      await ensureTopic(options, { topic, partitions: PARTITIONS, retentionMs: RETENTION_MS }).then(
        () => {
          note();
        },
        note,
      );
      await clock.sleep(PROBE_MS, signal);
    }
  };
  return {
    wake: () => {
      publisher.wake();
    },
    async run(signal) {
      await Promise.all([publisher.run(signal), probe(signal)]);
      await producer.close();
    },
  };
}

/** CloudEvents in Kafka's binary mode; ids and numbers only, no name and no reason. */
function toMessage(topic: string, { row, at }: OutboxEntry<OutboxRow>): OutgoingMessage {
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
