import {
  type Rollout,
  type RolloutServiceService,
  RolloutState,
  type RolloutTarget,
} from "../../gen/murmur/rotation/v1/rollouts";
import { type Clock } from "../../lib/clock";
import { type ErrorCode, isAppError } from "../../lib/errors";
import { type ClientOf } from "../../lib/grpc/client";
import { backoffMs } from "../../lib/retry";

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
  /** Called when the stream breaks; what was yielded last is then no longer the latest. */
  onBreak?: () => void;
}

/**
 * The rollout each time that it changes, up to its completion. A stream that breaks is opened
 * again; throws what cannot be helped by that.
 */
export async function* watchRollout(
  { rollouts, clock, signal, onBreak }: WatchDeps,
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
      if (isOver()) return;
      if (!isAppError(error) || FINAL.has(error.code)) throw error;
      onBreak?.();
    }
    await clock.sleep(backoffMs(attempt, { maxMs: 1_000 }), signal);
  }
}

/** What a new stream would be answered, too; a stream that is cut comes in many other codes. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "NOT_FOUND",
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "INVALID_ARGUMENT",
  "UNIMPLEMENTED",
]);

/** Whether every target is settled. */
export function isCompleted({ state }: Rollout): boolean {
  return state === RolloutState.ROLLOUT_STATE_COMPLETED;
}

export function byPath(targets: readonly RolloutTarget[]): RolloutTarget[] {
  return targets.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}
