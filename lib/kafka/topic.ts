import { createKafkaClient, withAdmin, type KafkaOptions } from "./client";
import { toKafkaError } from "./errors";
import { within } from "./within";

export interface TopicSpec {
  topic: string;
  partitions?: number;
  /** -1: the broker's default. */
  replicas?: number;
  /** How long messages are kept; the broker's default when absent. */
  retentionMs?: number;
}

const TIMEOUT_MS = 10_000;

/** Creates the topic unless it is there. An existing one is left as it is. */
export async function ensureTopic(options: KafkaOptions, spec: TopicSpec): Promise<void> {
  const retention = spec.retentionMs;
  const configEntries =
    retention === undefined ? [] : [{ name: "retention.ms", value: String(retention) }];
  const work = createKafkaClient(options).then((kafka) =>
    withAdmin(kafka, async (admin) => {
      const existing = await admin.listTopics();
      if (existing.includes(spec.topic)) return;
      await admin.createTopics({
        topics: [
          {
            topic: spec.topic,
            numPartitions: spec.partitions ?? 1,
            replicationFactor: spec.replicas ?? -1,
            configEntries,
          },
        ],
      });
    }),
  );
  try {
    await within(TIMEOUT_MS, work);
  } catch (error) {
    throw toKafkaError(error);
  }
}
