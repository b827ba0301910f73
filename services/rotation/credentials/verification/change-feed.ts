import type { Clock } from "../../../../lib/clock";
import type { Db } from "../../../../lib/postgres/db";
import {
  type Changes,
  type ChangesSince,
  readCredentialChanges,
  type ReadChanges,
} from "./credential-changes";
import type { CredentialLease } from "./credential-lease";
import { isAfter, type Position } from "./position";

/** What somebody who remembers has to forget. */
export interface ToldChanges extends Changes {
  position: Position;
  /** Everything, whatever is named. */
  isAll: boolean;
}

/** Tells services that remember answers what has changed. It keeps nothing of them between two calls. */
export interface ChangeFeed {
  /**
   * What has changed after a position (undefined: everything) within a tenant, or in all (undefined): as
   * soon as something has, or nothing after HOLD_MS. It is read after the call came in, so that what is
   * not named was as before then.
   */
  next(
    after: Position | undefined,
    tenantId: string | undefined,
    signal: AbortSignal,
  ): Promise<ToldChanges>;
}

/** So long a question waits for a change. */
const HOLD_MS = 250;
/** How often a waiting question looks at what its replica knows. */
const LOOK_MS = 15;

export function createChangeFeed(deps: {
  db: Db;
  lease: CredentialLease;
  clock: Clock;
  readChanges?: ReadChanges;
}): ChangeFeed {
  const { db, lease, clock, readChanges = readCredentialChanges } = deps;
  /** Waits, by asking the replica's view to be renewed, until that has found something, or broke. */
  const waitForNews = async (seen: Seen, untilMs: number, signal: AbortSignal) => {
    while (!signal.aborted && clock.monotonicMs() < untilMs) {
      await clock.sleep(LOOK_MS, signal);
      if (!isAsSeen(lease, seen)) return true;
    }
    return false;
  };
  return {
    async next(after, tenantId, signal) {
      const untilMs = clock.monotonicMs() + HOLD_MS;
      let position = after;
      for (;;) {
        // Before it is read: what is found meanwhile is news.
        const seen = see(lease);
        const changes = await readChanges(db, position);
        const told = toTold(changes, position, tenantId);
        if (told.isAll) return told;
        if (told.credentials.length + told.people.length > 0) {
          // Where much changes, it is told in few answers.
          if (position === after) await clock.sleep(LOOK_MS, signal);
          return told;
        }
        position = changes.position;
        if (!(await waitForNews(seen, untilMs, signal))) return told;
      }
    },
  };
}

type Seen = readonly [view: unknown, changes: number | undefined];

function see(lease: CredentialLease): Seen {
  const view = lease.view();
  return [view, view?.changes];
}

function isAsSeen(lease: CredentialLease, [view, changes]: Seen): boolean {
  const [now, changesNow] = see(lease);
  return now === view && changesNow === changes;
}

function toTold(
  { position, credentials, people, isCut }: ChangesSince,
  after: Position | undefined,
  tenantId: string | undefined,
): ToldChanges {
  const isTheirs = (it: { tenantId: string }) => tenantId === undefined || it.tenantId === tenantId;
  return {
    position,
    credentials: credentials.filter(isTheirs),
    people: people.filter(isTheirs),
    isAll: after === undefined || isCut || !isAfter(position, after),
  };
}
