import { createConnection } from "node:net";
import { Kafka, logLevel } from "kafkajs";
import { nowUs } from "./now-us";
import type { Sighting } from "./observer";

/** The broker's own way from one process to another, told to the observer like a reading. */
export async function consume(args: readonly string[]): Promise<void> {
  const [socketPath = "", brokers = "", topic = "", label = ""] = args;
  const observer = createConnection(socketPath);
  observer.on("error", () => process.exit(0));
  observer.on("close", () => process.exit(0));
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.ERROR });
  const consumer = kafka.consumer({ groupId: `bench-${process.pid}` });
  await consumer.connect();
  await consumer.subscribe({ topic });
  await consumer.run({
    eachMessage: ({ message }) => {
      const atUs = nowUs();
      const round = Number(message.value?.toString());
      observer.write(`${JSON.stringify({ label, round, atUs } satisfies Sighting)}\n`);
      return Promise.resolve();
    },
  });
  await new Promise(() => undefined);
}
