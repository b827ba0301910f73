import type { RolloutRef } from "../vm-sync/domain/evidence";

/** Tells watchers on this replica at once that a rollout has changed. */
export interface RolloutSignals {
  changed(rollout: RolloutRef): void;
  /** Resolves at the next change, at the latest when the signal aborts; until then nothing is missed. */
  subscribe(rollout: RolloutRef): Subscription;
}

export interface Subscription {
  /** Resolves true when the rollout has changed since the last call, false after `timeoutMs`. */
  next(timeoutMs: number, signal: AbortSignal): Promise<boolean>;
  close(): void;
}

export function createRolloutSignals(): RolloutSignals {
  const listeners = new Map<string, Set<() => void>>();
  return {
    changed(rollout) {
      for (const listener of listeners.get(keyOf(rollout)) ?? []) listener();
    },
    subscribe(rollout) {
      const key = keyOf(rollout);
      const subscription = createSubscription(() => {
        const others = listeners.get(key);
        others?.delete(subscription.notify);
        if (others?.size === 0) listeners.delete(key);
      });
      const known = listeners.get(key) ?? new Set();
      listeners.set(key, known.add(subscription.notify));
      return subscription;
    },
  };
}

function createSubscription(close: () => void): Subscription & { notify: () => void } {
  let hasChanged = false;
  let wake: () => void = () => undefined;
  return {
    close,
    notify() {
      hasChanged = true;
      wake();
    },
    async next(timeoutMs, signal) {
      if (!hasChanged && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const finish = () => {
            clearTimeout(timer);
            signal.removeEventListener("abort", finish);
            resolve();
          };
          const timer = setTimeout(finish, timeoutMs);
          signal.addEventListener("abort", finish, { once: true });
          wake = finish;
        });
      }
      const changed = hasChanged;
      hasChanged = false;
      wake = () => undefined;
      return changed;
    },
  };
}

function keyOf({ tenantId, rolloutId }: RolloutRef): string {
  return `${tenantId}/${rolloutId}`;
}
