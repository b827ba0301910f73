/** Asks one thing; answered together with what others ask at the same time. */
export type Ask<Q, A> = (question: Q) => Promise<A>;

export interface BatchOptions<Q> {
  /** How much of a batch a question takes up. */
  weightOf?: (question: Q) => number;
  /** Weight of a batch at most; one question that is heavier goes alone. */
  maxWeight?: number;
  /** Batches under way at most. */
  maxInFlight?: number;
}

/**
 * Turns many small statements at a time into few: what is asked while the allowed number of batches
 * is under way goes into the next one. A question is always answered by a statement that began
 * after it was asked. On its own it waits for one turn of the event loop only. A batch that fails
 * fails all who asked in it.
 */
export function batched<Q, A>(
  answer: (questions: readonly Q[]) => Promise<readonly A[]>,
  options: BatchOptions<Q> = {},
): Ask<Q, A> {
  const { weightOf = () => 1, maxWeight = 1_000, maxInFlight = 2 } = options;
  interface Waiting {
    question: Q;
    resolve: (answer: A) => void;
    reject: (error: unknown) => void;
  }
  let waiting: Waiting[] = [];
  let inFlight = 0;
  let isScheduled = false;

  const take = (): Waiting[] => {
    let weight = 0;
    const end = waiting.findIndex(({ question }, at) => {
      weight += weightOf(question);
      return at > 0 && weight > maxWeight;
    });
    const batch = end === -1 ? waiting : waiting.slice(0, end);
    waiting = end === -1 ? [] : waiting.slice(end);
    return batch;
  };
  const run = async (batch: readonly Waiting[]) => {
    try {
      const answers = await answer(batch.map(({ question }) => question));
      for (const [at, { resolve }] of batch.entries()) resolve(answers[at] as A);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      inFlight--;
      schedule();
    }
  };
  const flush = () => {
    isScheduled = false;
    while (waiting.length > 0 && inFlight < maxInFlight) {
      inFlight++;
      void run(take());
    }
  };
  const schedule = () => {
    if (isScheduled || waiting.length === 0 || inFlight >= maxInFlight) return;
    isScheduled = true;
    // Calls that came in with one read of a socket are asked together.
    setImmediate(flush);
  };
  return (question) =>
    new Promise((resolve, reject) => {
      waiting.push({ question, resolve, reject });
      schedule();
    });
}
