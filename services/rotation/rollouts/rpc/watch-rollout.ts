import type {
  RolloutTarget as TargetMessage,
  WatchRolloutResponse,
} from "../../../../gen/murmur/rotation/v1/rollouts";
import { type Clock, systemClock } from "../../../../lib/clock";
import { isRetryable } from "../../../../lib/retry";
import { isOpen, type Rollout, type RolloutTarget } from "../domain/rollout";
import type { Subscription } from "../rollout-signals";
import { toRollout, toTarget } from "./to-rollout";

/** Acks that come in through other replicas are seen by asking this often. */
const POLL_MS = 100;
/** A rollout so large that reading it takes longer is read for at most half of the time. */
const LONG_READ_MS = 10;

/**
 * First the whole rollout, then what changed, until every target is settled. Changes that this
 * replica has made itself are seen at once. While the database is away the watcher waits for it,
 * so long as its own deadline lets it.
 */
export async function* watchRollout(
  read: () => Promise<{ rollout: Rollout; targets: RolloutTarget[] }>,
  subscription: Subscription,
  { signal, clock = systemClock }: { signal: AbortSignal; clock?: Clock },
): AsyncGenerator<WatchRolloutResponse> {
  const sent = new Map<string, string>();
  let shown = "";
  while (!signal.aborted) {
    const startMs = clock.monotonicMs();
    const state = await readOrSkip(read, shown === "");
    if (state) {
      const targets = state.targets.map(toTarget).filter((target) => isNews(sent, target));
      // Targets are read after their rollout: its end may be seen one round after theirs.
      const summary = summaryOf(state.rollout);
      if (summary !== shown || targets.length > 0)
        yield { rollout: toRollout(state.rollout), targets };
      shown = summary;
      if (!isOpen(state.rollout)) return;
    }
    const readMs = clock.monotonicMs() - startMs;
    if (readMs > LONG_READ_MS) await clock.sleep(readMs, signal);
    await subscription.next(POLL_MS, signal);
  }
}

/** Undefined when the database is away for the moment; the first read has to succeed. */
async function readOrSkip<T>(read: () => Promise<T>, isFirst: boolean): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isFirst || !isRetryable(error)) throw error;
    return undefined;
  }
}

function summaryOf({ counts, completedAt, canary }: Rollout): string {
  return JSON.stringify([counts, completedAt, canary]);
}

function isNews(sent: Map<string, string>, target: TargetMessage): boolean {
  const { state, reason, generation, reload } = target;
  const told = reload ? `${reload.generation}:${reload.outcome}` : "";
  const text = `${state} ${generation} ${told} ${reason}`;
  if (sent.get(target.agentId) === text) return false;
  sent.set(target.agentId, text);
  return true;
}
