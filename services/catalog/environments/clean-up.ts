import type { Clock } from "../../../lib/clock";
import { isAppError } from "../../../lib/errors";
import type { EndedTenants } from "../../../lib/identity/ended-tenants";
import type { Log } from "../../../lib/log";
import { backoffMs } from "../../../lib/retry";
import type { KeyRotations } from "../encryption/key-rotations";
import type { ExpiryStore } from "../store/release-store";

export interface CleanUpDeps {
  store: ExpiryStore;
  /** Finishes rotations of keys that were broken off. */
  keyRotations?: Pick<KeyRotations, "finishAbandoned">;
  /** Asked, so that a replica which nobody calls lets go of the keys of tenants that were deleted, too. */
  ended?: EndedTenants;
  clock: Clock;
  log: Log;
  everyMs?: number;
}

const EVERY_MS = 60_000;
const BATCH = 500;

/** Removes what has ended by itself, in bounded batches, until the signal aborts. */
export async function cleanUp(deps: CleanUpDeps, signal: AbortSignal): Promise<void> {
  const { clock, everyMs = EVERY_MS } = deps;
  for (let failures = 0; !signal.aborted;) {
    const isDone = await tryOnce(deps, signal);
    failures = isDone ? 0 : failures + 1;
    // Replicas that were started together drift apart.
    const jitterMs = Math.random() * everyMs * 0.2;
    await clock.sleep(
      isDone ? everyMs + jitterMs : backoffMs(failures, { maxMs: everyMs }),
      signal,
    );
  }
}

async function tryOnce(
  { store, keyRotations, ended, log }: CleanUpDeps,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await cleanUpOnce(store, signal);
    await keyRotations?.finishAbandoned(BATCH);
    await ended?.has("");
    return true;
  } catch (error) {
    if (!isAppError(error)) throw error;
    log.warn("could not clean up, trying again", { error });
    return false;
  }
}

/** One round: every kind until a batch is not full. Sets come after what refers to them. */
export async function cleanUpOnce(store: ExpiryStore, signal?: AbortSignal): Promise<void> {
  const kinds = [
    (limit: number) => store.removeExpiredLeases(limit),
    (limit: number) => store.removeUnconfirmed(limit),
    (limit: number) => store.removeOldAgents(limit),
    (limit: number) => store.removeUnusedSets(limit),
    (limit: number) => store.removeExpiredRequests(limit),
    (limit: number) => store.removeStagedCredentials(limit),
  ];
  for (const removeSome of kinds) {
    while (!signal?.aborted) {
      if ((await removeSome(BATCH)) < BATCH) break;
    }
  }
}
