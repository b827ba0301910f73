import { type Clock } from "../clock";

/** A pause of a background loop that can be cut short. */
export interface WakeableSleep {
  /** Ends after `ms`, when the signal aborts, or at once if it was woken since the last pause. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  wake(): void;
}

export function createWakeableSleep(clock: Clock): WakeableSleep {
  let isWoken = false;
  let current: AbortController | undefined;
  return {
    async sleep(ms, signal) {
      if (!isWoken) {
        current = new AbortController();
        await clock.sleep(ms, AbortSignal.any([signal, current.signal]));
        current = undefined;
      }
      isWoken = false;
    },
    wake() {
      isWoken = true;
      current?.abort();
    },
  };
}
