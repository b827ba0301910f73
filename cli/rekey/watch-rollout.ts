import {
  type Rollout,
  type RolloutServiceService,
  RolloutState,
  type RolloutTarget,
} from "../../gen/murmur/rotation/v1/rollouts";
import { type Clock } from "../../lib/clock";
import { isAppError } from "../../lib/errors";
import { type ClientOf } from "../../lib/grpc/client";
import { backoffMs, isRetryable } from "../../lib/retry";

/** A rollout with all its targets, by path. */
export interface RolloutView {
  rollout: Rollout;
  targets: RolloutTarget[];
}

export interface WatchDeps {
  rollouts: Pick<ClientOf<typeof RolloutServiceService>, "watchRollout">;
  clock: Clock;
  /** Ends the watch without an error. */
  signal: AbortSignal;
}

/**
 * The rollout each time that it changes, up to its completion. A stream that breaks is opened
 * again; throws what cannot be helped by that.
 */
export async function* watchRollout(
  { rollouts, clock, signal }: WatchDeps,
  rolloutId: string,
): AsyncGenerator<RolloutView> {
  const isOver = () => signal.aborted;
  for (let attempt = 0; !isOver(); attempt++) {
    try {
      // A new stream starts with the whole state, so nothing of an older one is kept.
      const targets = new Map<string, RolloutTarget>();
      for await (const message of rollouts.watchRollout({ rolloutId }, { signal })) {
        attempt = 0;
        for (const target of message.targets) targets.set(target.agentId, target);
        if (message.rollout === undefined) continue;
        yield { rollout: message.rollout, targets: byPath([...targets.values()]) };
        if (isCompleted(message.rollout)) return;
      }
    } catch (error) {
      if (isOver() || isAppError(error, "CANCELLED")) return;
      if (!isRetryable(error)) throw error;
    }
    await clock.sleep(backoffMs(attempt, { maxMs: 1_000 }), signal);
  }
}

/** Whether every target is settled. */
export function isCompleted({ state }: Rollout): boolean {
  return state === RolloutState.ROLLOUT_STATE_COMPLETED;
}

export function byPath(targets: readonly RolloutTarget[]): RolloutTarget[] {
  return targets.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}
