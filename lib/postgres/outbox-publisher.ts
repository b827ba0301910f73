import { randomUUID } from "node:crypto";
import { systemClock, type Clock } from "../clock";
import { silentLog, type Log } from "../log";
import { backoffMs } from "../retry";
import { type Pool } from "./db";
import {
  OUTBOX_START,
  readOutbox,
  type Outbox,
  type OutboxCursor,
  type OutboxEntry,
} from "./outbox";
import { createOutboxLease, type OutboxLease } from "./outbox-lease";
import { measureOutbox, type OutboxMeasures } from "./outbox-measures";
import { createWakeableSleep } from "./wakeable-sleep";

export interface OutboxPublisherOptions<Row extends object> {
  pool: Pool;
  outbox: Outbox<Row>;
  /** Of this kind of publisher; each has a cursor of its own. */
  name: string;
  /** Sends a batch in order and resolves when it is safe; bounded in time. May get it again. */
  send: (entries: OutboxEntry<Row>[]) => Promise<void>;
  /** Called after each attempt, with the error of one that failed: the far side's health. */
  onAttempt?: (error?: unknown) => void;
  /** Called when the database turns out to be another one than the cursor's. */
  onRestored?: () => void;
  /** About once a second, by whoever holds the lease. */
  onMeasures?: (measures: OutboxMeasures) => void;
  leaseMs?: number;
  pollMs?: number;
  batch?: number;
  clock?: Clock;
  log?: Log;
}

export interface OutboxPublisher {
  /** Whether this process published when it last looked. */
  isHolder(): boolean;
  /** Looks at once: for whoever knows that there is something. */
  wake(): void;
  /** Publishes until the signal aborts, then lets another take over. */
  run(signal: AbortSignal): Promise<void>;
}

const MEASURE_EVERY_MS = 1_000;

/**
 * Sends every row of an outbox at least once and in order, from one process at a time. A holder
 * that dies or freezes is replaced when its lease is over; what it still does afterwards repeats
 * rows but moves no cursor.
 */
export function createOutboxPublisher<Row extends object>(
  options: OutboxPublisherOptions<Row>,
): OutboxPublisher {
  const { clock = systemClock, log = silentLog, leaseMs = 5_000, pollMs = 100 } = options;
  const pause = createWakeableSleep(clock);
  const lease = createOutboxLease({
    pool: options.pool,
    schema: options.outbox.schema,
    name: options.name,
    holder: randomUUID(),
    leaseMs,
  });
  const publish = createSending(options, lease);
  let cursor: OutboxCursor | undefined;
  let heldMs = -Infinity;
  let measuredMs = -Infinity;

  /** Sees that we hold the lease, asking the database a few times in the lease's length. */
  const hold = async (): Promise<OutboxCursor | undefined> => {
    if (cursor && clock.monotonicMs() - heldMs < leaseMs / 3) return cursor;
    const startMs = clock.monotonicMs();
    const held = await lease.hold();
    if (!cursor !== !held) log.info("outbox lease", { publisher: options.name, holds: !!held });
    cursor = held?.cursor;
    heldMs = startMs;
    if (!held?.isForeign) return cursor;
    log.error("the database was restored: publishing every row again", { cursor });
    options.onRestored?.();
    cursor = (await lease.restart()) ? OUTBOX_START : undefined;
    return cursor;
  };
  /** One batch; true when there is more. */
  const step = async (signal: AbortSignal): Promise<boolean> => {
    const from = await hold();
    if (!from) return false;
    if (options.onMeasures && clock.monotonicMs() - measuredMs >= MEASURE_EVERY_MS) {
      measuredMs = clock.monotonicMs();
      options.onMeasures(await measureOutbox(options.pool, options.outbox.schema, from));
    }
    const sent = await publish(from, signal);
    if (sent === "nothing") return false;
    cursor = sent.isHolder ? sent.cursor : undefined;
    return sent.isMore;
  };

  return {
    isHolder: () => cursor !== undefined,
    wake: () => {
      if (cursor) pause.wake();
    },
    async run(signal) {
      let failures = 0;
      while (!signal.aborted) {
        try {
          const isMore = await step(signal);
          failures = 0;
          if (isMore) continue;
        } catch (error) {
          failures += 1;
          log.warn("outbox could not be published", { error });
        }
        const idleMs = cursor ? pollMs : leaseMs / 5;
        const waitMs = failures > 0 ? backoffMs(failures, { maxMs: leaseMs / 5 }) : idleMs;
        await pause.sleep(waitMs, signal);
      }
      cursor = undefined;
      // Without it another takes over when the lease is over.
      await lease.release().catch(() => undefined);
    },
  };
}

type Sent = "nothing" | { cursor: OutboxCursor; isHolder: boolean; isMore: boolean };

/** Sends what follows the cursor, prolonging the lease meanwhile. */
function createSending<Row extends object>(
  options: OutboxPublisherOptions<Row>,
  lease: OutboxLease,
) {
  const { pool, outbox, batch = 500, leaseMs = 5_000, clock = systemClock } = options;

  const keepLease = async (signal: AbortSignal): Promise<void> => {
    for (;;) {
      await clock.sleep(leaseMs / 3, signal);
      if (signal.aborted) return;
      // One that fails is followed by the next; one that was lost shows when the cursor is moved.
      await lease.renew().catch(() => undefined);
    }
  };
  const attempt = async (entries: OutboxEntry<Row>[]): Promise<void> => {
    const sent = new AbortController();
    const keeping = keepLease(sent.signal);
    try {
      await options.send(entries);
      options.onAttempt?.();
    } catch (error) {
      options.onAttempt?.(error);
      throw error;
    } finally {
      sent.abort();
      await keeping;
    }
  };
  return async (from: OutboxCursor, signal: AbortSignal): Promise<Sent> => {
    const entries = await readOutbox(pool, outbox, from, batch);
    const last = entries.at(-1);
    if (!last || signal.aborted) return "nothing";
    await attempt(entries);
    const isHolder = await lease.advance(last.cursor);
    return { cursor: last.cursor, isHolder, isMore: isHolder && entries.length === batch };
  };
}
