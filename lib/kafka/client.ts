import { type Admin, type Kafka, type LogEntry } from "kafkajs";
import { silentLog, type Log } from "../log";

export interface KafkaOptions {
  /** Each `host:port`. */
  brokers: readonly string[];
  /** Shown in the broker's logs. */
  clientId: string;
  log?: Log;
}

const CONNECT_TIMEOUT_MS = 2_000;
const REQUEST_TIMEOUT_MS = 3_000;

/**
 * A kafkajs client with every wait bounded; it connects to nothing yet. The package is loaded at
 * the first call, since it is a fifth of a daemon's memory and many daemons never use it.
 */
export async function createKafkaClient(options: KafkaOptions): Promise<Kafka> {
  const { Kafka: KafkaClient, logLevel } = await import("kafkajs");
  return new KafkaClient({
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // One repetition, for a broker that just moved; whoever calls repeats the rest, with back-off.
    retry: { retries: 1, initialRetryTime: 50, maxRetryTime: 500 },
    logLevel: logLevel.ERROR,
    logCreator: () => toLogger(options.log ?? silentLog),
  });
}

/** Connects an administrator for the time of `fn`. */
export async function withAdmin<T>(kafka: Kafka, fn: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    return await fn(admin);
  } finally {
    // The answer is known by now; a connection that does not close politely is of no interest.
    await admin.disconnect().catch(() => undefined);
  }
}

/** What kafkajs calls errors are thrown as well, and judged by whoever catches them. */
function toLogger(log: Log) {
  return ({ namespace, log: entry }: LogEntry) => {
    const error: unknown = entry["error"];
    log.warn("kafka client", { namespace, kafkaMessage: entry.message, kafkaError: error });
  };
}
