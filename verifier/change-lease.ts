import {
  type AwaitCredentialChangesResponse,
  CredentialServiceService,
} from "../gen/murmur/rotation/v1/credentials";
import type { Clock } from "../lib/clock";
import { createClient } from "../lib/grpc/client";
import { LEASE_MS } from "../lib/lease";
import { type Log, silentLog } from "../lib/log";
import { type RotationAskerDeps, rotationChannel } from "./rotation-channel";

/** Asks what has changed after a position; answered when something has, or after a while. */
export type AwaitChanges = (
  after: string,
  signal: AbortSignal,
) => Promise<AwaitCredentialChangesResponse>;

/**
 * What is known here of changes at rotation. Answers that are remembered count for as long as it can be told
 * that what they are about has not changed since.
 */
export interface ChangeLease {
  /** Follows the changes while somebody asks, until the signal aborts. Without it nothing is under the lease. */
  run(signal: AbortSignal): Promise<void>;
  /** Somebody asks: it is of use to follow. */
  touch(): void;
  /** Whether changes that were made more than CHANGES_LEASE_MS ago are known. */
  isAlive(nowMs: number): boolean;
  /** Whether an answer that was asked for then has in it every change of its subject that is known here. */
  isUnchanged(subject: string, askedMs: number): boolean;
}

/** What answers are about, as changes name it. */
export const subjectOf = {
  credential: (id: string): string => id,
  /** No developer's name has a space in it. */
  person: (tenantId: string, developer: string): string => `${developer} ${tenantId}`,
};

/** For how long remembered answers count after the last call that was answered was made. */
const CHANGES_LEASE_MS = 1_000;
/** How long an answer counts under the lease at most. */
export const MAX_LEASED_MS = 10_000;
/**
 * How old the view of a replica that answers may be, and as much again for clocks that do not go alike. What
 * is asked for so soon after a change was heard of may not have it in it, if another replica answers.
 */
export const MAX_VIEW_AGE_MS = 2 * LEASE_MS;
/** Changes are kept for as long as there can be answers from before them. */
const KEPT_MS = MAX_LEASED_MS + 5_000;
const MAX_KEPT = 10_000;
/** Nobody follows for nobody. Whatever is in use is asked for more often. */
const IDLE_MS = MAX_LEASED_MS + 5_000;
const RETRY_MS = 100;
/** An answer takes a quarter of a second when nothing changes. */
const TIMEOUT_MS = 2_000;

/** Asks rotation, of whichever replica. Throws what the call does. */
export function createChangeAsker(deps: RotationAskerDeps): AwaitChanges {
  const client = createClient(CredentialServiceService, rotationChannel(deps));
  return (after, signal) =>
    client.awaitCredentialChanges({ after }, { timeoutMs: TIMEOUT_MS, signal });
}

/**
 * By the monotonic clock, and from when a call was made, not answered: however long an answer was on its way,
 * what it does not name was unchanged then.
 */
export function createChangeLease({
  awaitChanges,
  clock,
  log = silentLog,
}: {
  awaitChanges: AwaitChanges;
  clock: Clock;
  log?: Log;
}): ChangeLease {
  /** When changes were heard of, the oldest first. */
  const changed = new Map<string, number>();
  let allChangedMs = -Infinity;
  let knownMs = -Infinity;
  let position = "";
  let touchedMs = -Infinity;
  let wake = (): void => undefined;

  const isAlive = (nowMs: number) => nowMs - knownMs <= CHANGES_LEASE_MS;
  const forgetAll = (nowMs: number) => {
    changed.clear();
    allChangedMs = nowMs;
  };
  const accept = (told: AwaitCredentialChangesResponse, startMs: number) => {
    const nowMs = clock.monotonicMs();
    for (const subject of subjectsOf(told)) {
      changed.delete(subject);
      changed.set(subject, nowMs);
    }
    if (told.forgetAll || !isAlive(nowMs) || changed.size > MAX_KEPT) forgetAll(nowMs);
    for (const [subject, atMs] of changed) {
      if (atMs > nowMs - KEPT_MS) break;
      changed.delete(subject);
    }
    [knownMs, position] = [startMs, told.position];
  };
  const ask = async (signal: AbortSignal) => {
    const startMs = clock.monotonicMs();
    try {
      accept(await awaitChanges(isAlive(startMs) ? position : "", signal), startMs);
    } catch (error) {
      if (!signal.aborted) log.debug("changes of credentials could not be heard", { error });
      await clock.sleep(RETRY_MS, signal);
    }
  };
  return {
    isAlive,
    isUnchanged: (subject, askedMs) =>
      Math.max(allChangedMs, changed.get(subject) ?? -Infinity) <= askedMs - MAX_VIEW_AGE_MS,
    touch() {
      touchedMs = clock.monotonicMs();
      wake();
    },
    async run(signal) {
      const onAbort = () => {
        wake();
      };
      signal.addEventListener("abort", onAbort);
      while (!signal.aborted) {
        if (clock.monotonicMs() - touchedMs <= IDLE_MS) await ask(signal);
        else await new Promise<void>((resolve) => (wake = resolve));
      }
      signal.removeEventListener("abort", onAbort);
    },
  };
}

function* subjectsOf({ credentialIds, people }: AwaitCredentialChangesResponse): Iterable<string> {
  for (const id of credentialIds) yield subjectOf.credential(id);
  for (const { tenantId, developer } of people) yield subjectOf.person(tenantId, developer);
}
