import { systemClock, type Clock } from "../clock";
import { silentLog } from "../log";
import { backoffMs } from "../retry";
import { type KafkaOptions } from "./client";
import { startIncarnation, type TopicMessage } from "./topic-incarnation";

export type { TopicMessage } from "./topic-incarnation";

export interface TopicReaderOptions extends KafkaOptions {
  topic: string;
  /** Called for every message of the topic, in the order of its partition; filter by key here. */
  onMessage: (message: TopicMessage) => void;
  /**
   * Called after each join, when every message that is written from now on will be delivered:
   * reconcile now, since nothing that was written before is.
   */
  onReady: () => void;
  /** Called when the topic cannot be read any more, until the next `onReady`. */
  onDisconnected?: (why: string) => void;
  /** How often the position is compared with the topic's end. */
  checkMs?: number;
  /** How long messages may wait undelivered before the consumer is replaced. */
  stallMs?: number;
  clock?: Clock;
}

export interface TopicReader {
  /** Leaves the group and closes the connections, within 3 s. Calling twice is the same. */
  stop(): Promise<void>;
}

/**
 * Reads a topic from its present end for as long as the process lives, as a daemon that keeps no
 * offsets: each consumer has a group id of its own, never commits, and is replaced with back-off
 * when it crashes, stalls or loses the brokers. Messages may repeat or be lost while away, which is
 * what `onReady` is for.
 */
export function createTopicReader(options: TopicReaderOptions): TopicReader {
  const stopping = new AbortController();
  const done = keepReading(options, stopping.signal);
  return {
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}

async function keepReading(options: TopicReaderOptions, signal: AbortSignal): Promise<void> {
  const { clock = systemClock, log = silentLog, topic } = options;
  let isAway = false;
  let attempt = 0;
  const onReady = () => {
    isAway = false;
    attempt = 0;
    log.info("reading topic", { topic });
    options.onReady();
  };
  while (!signal.aborted) {
    const incarnation = startIncarnation({ ...options, onReady, clock });
    const stop = () => incarnation.end("stopped");
    signal.addEventListener("abort", stop);
    // The signal may have aborted before it was listened to.
    if (isAborted(signal)) stop();
    const why = await incarnation.ended;
    signal.removeEventListener("abort", stop);
    if (!isAborted(signal)) {
      log.warn("topic is not read", { topic, why });
      if (!isAway) options.onDisconnected?.(why);
      isAway = true;
    }
    await incarnation.closed;
    await clock.sleep(backoffMs(attempt++, { initialMs: 100 }), signal);
  }
}

/** A call, so that the compiler does not take the answer of a moment ago for the present one. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
