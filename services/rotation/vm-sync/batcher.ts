import { isRetryable } from "../../../lib/retry";

/** Gathers items while a batch is on its way: alone, an item goes at once; many go together. */
export interface Batcher<T> {
  /**
   * Resolves when the items have been handled, else rejects: with the failure of their batch when
   * that may be tried again, with their own when it may not.
   */
  submit(items: readonly T[]): Promise<void>;
}

interface Entry<T> {
  item: T;
  done: () => void;
  failed: (error: unknown) => void;
}

export function createBatcher<T>(
  handle: (items: T[]) => Promise<void>,
  maxItems: number,
): Batcher<T> {
  let waiting: Entry<T>[] = [];
  let isRunning = false;

  /** Senders who have nothing to do with each other share a batch: a bad item is its sender's. */
  const settle = async (batch: readonly Entry<T>[]): Promise<void> => {
    try {
      await handle(batch.map(({ item }) => item));
      for (const { done } of batch) done();
    } catch (error) {
      if (batch.length > 1 && !isRetryable(error)) for (const entry of batch) await settle([entry]);
      else for (const { failed } of batch) failed(error);
    }
  };

  const run = async () => {
    if (isRunning) return;
    isRunning = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxItems);
      waiting = waiting.slice(maxItems);
      await settle(batch);
    }
    isRunning = false;
  };

  return {
    async submit(items) {
      if (items.length === 0) return;
      const handled = items.map(
        (item) =>
          new Promise<void>((done, failed) => {
            waiting.push({ item, done, failed });
          }),
      );
      void run();
      await Promise.all(handled);
    },
  };
}
