import type { Clock } from "../../../../lib/clock";
import { LEASE_MS } from "../../../../lib/lease";
import { type Log, silentLog } from "../../../../lib/log";
import type { Db } from "../../../../lib/postgres/db";
import {
  type Changes,
  type ChangesSince,
  readCredentialChanges,
  type ReadChanges,
} from "./credential-changes";
import { isAfter, type Position } from "./position";

/** How old a view may be before somebody's question has it renewed. */
const RENEW_AFTER_MS = 30;
/** Beyond such a pause nothing is known any more: the database may be another one by then. */
const MAX_PAUSE_MS = 1_000;

/** One unbroken time of looking; what was read within it may be kept while it lasts. */
export interface View {
  /** How many looks found changes: what was read before the last of them may be out of date. */
  readonly changes: number;
  /**
   * By how much the database's clock was ahead of the monotonic one at the last look, at most: a step of
   * it counts from the next look on, and a drift is never more than that of a lease.
   */
  readonly databaseAheadMs: number;
}

export interface CredentialLease {
  /** The present view, while it may be trusted; asking has it renewed. */
  view(): View | undefined;
  follow(follower: LeaseFollower): void;
}

/** Is told what has changed, and when the view broke: nothing is known any more then. */
export interface LeaseFollower {
  onChanged(changes: Changes): void;
  onBroken(): void;
}

export interface CredentialLeaseDeps {
  db: Db;
  readChanges?: ReadChanges;
  clock: Clock;
  log?: Log;
}

interface Held extends View {
  changes: number;
  /** When the last look began, by the monotonic clock. */
  sinceMs: number;
  position: Position;
  databaseAheadMs: number;
}

/**
 * Looks for changes only while somebody asks: a replica that verifies nothing does nothing. A look that
 * fails breaks the view; so do a long pause, more changes than are named, and a database that was set back.
 */
export function createCredentialLease(deps: CredentialLeaseDeps): CredentialLease {
  const { db, clock, readChanges = readCredentialChanges, log = silentLog } = deps;
  const followers: LeaseFollower[] = [];
  let held: Held | undefined;
  let isLooking = false;

  const breakView = () => {
    if (held) for (const follower of followers) follower.onBroken();
    held = undefined;
  };
  const accept = (changes: ChangesSince, startMs: number) => {
    // It was read after the look began.
    const databaseAheadMs = changes.databaseMs - startMs;
    const { position, isCut } = changes;
    const look = { sinceMs: startMs, position, databaseAheadMs };
    const isPaused = held && startMs - held.sinceMs > MAX_PAUSE_MS;
    if (!held || isPaused || isCut || !isAfter(position, held.position)) {
      breakView();
      held = { changes: 0, ...look };
      return;
    }
    if (changes.credentials.length + changes.people.length > 0) {
      held.changes += 1;
      for (const follower of followers) follower.onChanged(changes);
    }
    Object.assign(held, look);
  };
  const look = async () => {
    if (isLooking) return;
    isLooking = true;
    const startMs = clock.monotonicMs();
    try {
      accept(await readChanges(db, held?.position), startMs);
    } catch (error) {
      breakView();
      log.debug("changes of credentials could not be read", { error });
    } finally {
      isLooking = false;
    }
  };
  return {
    view() {
      const ageMs = held ? clock.monotonicMs() - held.sinceMs : Infinity;
      if (ageMs > RENEW_AFTER_MS) void look();
      return ageMs <= LEASE_MS ? held : undefined;
    },
    follow: (follower) => {
      followers.push(follower);
    },
  };
}
