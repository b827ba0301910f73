import { unavailable } from "../../../lib/errors";
import { createBatcher } from "./batcher";

describe("a batcher", () => {
  it("handles a single item at once and gathers what comes meanwhile", async () => {
    const batches: number[][] = [];
    const batcher = createBatcher<number>(async (items) => {
      batches.push(items);
      await Promise.resolve();
    }, 100);
    const first = batcher.submit([1]);
    expect(batches).toEqual([[1]]);
    await Promise.all([first, batcher.submit([2]), batcher.submit([3, 4])]);
    expect(batches).toEqual([[1], [2, 3, 4]]);
  });

  it("keeps batches within the limit", async () => {
    const sizes: number[] = [];
    const batcher = createBatcher<number>((items) => {
      sizes.push(items.length);
      return Promise.resolve();
    }, 3);
    await batcher.submit([1, 2, 3, 4, 5, 6, 7]);
    expect(sizes).toEqual([3, 3, 1]);
  });

  it("tells those of a failed batch, and goes on", async () => {
    const batcher = createBatcher<number>(
      (items) => (items.includes(13) ? Promise.reject(new Error("no")) : Promise.resolve()),
      1,
    );
    const outcomes = await Promise.allSettled([13, 1].map((item) => batcher.submit([item])));
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });

  const gathered = (failure: (item: number) => Error | undefined) => {
    const batches: number[][] = [];
    const batcher = createBatcher<number>((items) => {
      batches.push(items);
      const error = items.map(failure).find((it) => it !== undefined);
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    }, 100);
    return {
      batches,
      settled: Promise.allSettled([1, 2, 13, 4].map((it) => batcher.submit([it]))),
    };
  };

  it("lets one bad item fail its own sender only", async () => {
    const { settled } = gathered((item) => (item === 13 ? new Error("no") : undefined));
    const outcomes = (await settled).map(({ status }) => status);
    expect(outcomes).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
  });

  it("does not try one by one what may be tried again", async () => {
    const away = (item: number) => (item === 13 ? unavailable("away") : undefined);
    const { batches, settled } = gathered(away);
    const outcomes = (await settled).map(({ status }) => status);
    expect(outcomes).toEqual(["fulfilled", "rejected", "rejected", "rejected"]);
    expect(batches).toEqual([[1], [2, 13, 4]]);
  });
});
