/** One piece of work; its argument tells callers apart. */
export type Work = (caller: number) => Promise<unknown>;

export interface Rates {
  ours: number;
  yardstick: number;
}

const TURNS = 10;

/**
 * How often a second each can be done by so many callers at once: in short turns, so that what else
 * the machine does falls on both alike.
 */
export async function compareRates(
  work: { ours: Work; yardstick: Work },
  { callers, measureMs }: { callers: number; measureMs: number },
): Promise<Rates> {
  const sums = { ours: 0, yardstick: 0 };
  for (let turn = 0; turn < TURNS; turn++) {
    sums.yardstick += await rateOf(work.yardstick, callers, measureMs / TURNS);
    sums.ours += await rateOf(work.ours, callers, measureMs / TURNS);
  }
  return { ours: sums.ours / TURNS, yardstick: sums.yardstick / TURNS };
}

async function rateOf(work: Work, callers: number, measureMs: number): Promise<number> {
  const startMs = performance.now();
  let done = 0;
  const call = async (caller: number) => {
    while (performance.now() - startMs < measureMs) {
      await work(caller);
      done++;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  return (done * 1000) / (performance.now() - startMs);
}
