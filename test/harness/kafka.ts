import { randomUUID } from "node:crypto";
import { askForPart } from "./parts-client";

/**
 * The brokers (`host:port`, comma-separated) of the run's Kafka, or of the one that
 * MURMUR_TEST_KAFKA names. It is shared: use a topic of your own.
 */
export async function testKafka(): Promise<string[]> {
  const { brokers } = await askForPart<{ brokers: string }>("kafka");
  return brokers.split(",");
}

/** A topic name that no other test uses. */
export function freshTopic(): string {
  return `test.${randomUUID()}`;
}
