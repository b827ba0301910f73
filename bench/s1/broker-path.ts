import { Kafka, logLevel, Partitioners } from "kafkajs";
import { startRole } from "./child";
import { nowUs } from "./now-us";
import type { Observer } from "./observer";

/** A broker's own produce → consume, from this process to another. */
export interface BrokerPath {
  /** Microseconds from before the send until the consumer has the message. */
  pass(round: number): Promise<number>;
  stop(): Promise<void>;
}

const TOPIC = "bench.round";
const LABEL = "broker";

export async function startBrokerPath(brokers: string, observer: Observer): Promise<BrokerPath> {
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1 }] });
  await admin.disconnect();
  const producer = kafka.producer({
    ...{ idempotent: true, maxInFlightRequests: 1 },
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const consumer = startRole("kafka-consumer", [observer.socketPath, brokers, TOPIC, LABEL]);
  const send = (round: number) =>
    producer.send({ topic: TOPIC, acks: -1, messages: [{ key: "vm", value: String(round) }] });
  // Until it has joined, what is sent is not for it.
  const joined = observer.lastSeenUs([LABEL], -1);
  const timer = setInterval(() => void send(-1).catch(() => undefined), 100);
  await joined.finally(() => {
    clearInterval(timer);
  });
  return {
    async pass(round) {
      const sentUs = nowUs();
      const sending = send(round);
      const seenUs = await observer.lastSeenUs([LABEL], round);
      await sending;
      return seenUs - sentUs;
    },
    async stop() {
      await consumer.stop();
      await producer.disconnect();
    },
  };
}
