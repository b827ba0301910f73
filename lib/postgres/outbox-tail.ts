import { systemClock, type Clock } from "../clock";
import { silentLog, type Log } from "../log";
import { backoffMs } from "../retry";
import { type Db } from "./db";
import {
  isCursorAhead,
  outboxEnd,
  readOutbox,
  type Outbox,
  type OutboxCursor,
  type OutboxEntry,
} from "./outbox";
import { createWakeableSleep } from "./wakeable-sleep";

export interface OutboxTailOptions<Row extends object> {
  db: Db;
  outbox: Outbox<Row>;
  /** Called with the rows in order; the next ones are read when it has resolved. */
  onEntries: (entries: OutboxEntry<Row>[]) => Promise<void> | void;
  /**
   * Called when rows may have been missed, at the start, after PostgreSQL was away and after it was
   * restored: whoever follows has to be told the whole state anew.
   */
  onReset?: (why: "started" | "reconnected" | "restored") => Promise<void> | void;
  pollMs?: number;
  batch?: number;
  clock?: Clock;
  log?: Log;
}

export interface OutboxTail {
  /** Milliseconds since everything that was committed had been handed over. */
  watermarkAgeMs(): number;
  /** Reads at once: for whoever knows that there is something. */
  wake(): void;
  run(signal: AbortSignal): Promise<void>;
}

/** A restore need not show as a failure: a process that was frozen sees neither. */
const CHECK_EVERY_MS = 1_000;

/**
 * Follows an outbox from its present end with a cursor in memory: one for each replica, for what it
 * serves itself. Survives any absence of PostgreSQL.
 */
export function createOutboxTail<Row extends object>(options: OutboxTailOptions<Row>): OutboxTail {
  const { db, outbox, clock = systemClock, log = silentLog } = options;
  const { pollMs = 50, batch = 500 } = options;
  const pause = createWakeableSleep(clock);
  let cursor: OutboxCursor | undefined;
  let currentMs = clock.monotonicMs();
  let checkedMs = currentMs;
  let failures = 0;

  const reset = async (why: "started" | "reconnected" | "restored") => {
    if (why === "restored") log.error("outbox cursor is ahead of the database", { cursor });
    // The end is fixed before the state is told: rows from now on are read after it.
    if (why !== "reconnected" || !cursor) cursor = await outboxEnd(db);
    await options.onReset?.(why);
    return cursor;
  };
  const readOnce = async (): Promise<boolean> => {
    const startMs = clock.monotonicMs();
    let from = cursor ?? (await reset("started"));
    if (failures > 0 || startMs - checkedMs >= CHECK_EVERY_MS) {
      checkedMs = startMs;
      if (await isCursorAhead(db, from)) from = await reset("restored");
      else if (failures > 0) from = await reset("reconnected");
    }
    const entries = await readOutbox(db, outbox, from, batch);
    if (entries.length > 0) await options.onEntries(entries);
    cursor = entries.at(-1)?.cursor ?? from;
    failures = 0;
    if (entries.length === batch) return true;
    currentMs = startMs;
    return false;
  };

  return {
    watermarkAgeMs: () => clock.monotonicMs() - currentMs,
    wake: () => pause.wake(),
    async run(signal) {
      while (!signal.aborted) {
        try {
          if (await readOnce()) continue;
        } catch (error) {
          failures += 1;
          log.warn("outbox could not be read", { error });
        }
        const waitMs =
          failures > 0 ? backoffMs(failures, { initialMs: pollMs, maxMs: 1_000 }) : pollMs;
        await pause.sleep(waitMs, signal);
      }
    },
  };
}
