import { FakeClock } from "../../../test/fakes/fake-clock";
import { SwapPacer } from "./swap-pacer";

describe("SwapPacer", () => {
  it("lets a first swap and a burst up to the limit through at once", () => {
    const pacer = new SwapPacer(new FakeClock(), 3);
    for (let count = 0; count < 3; count++) {
      expect(pacer.delayMs("a")).toBe(0);
      pacer.count("a");
    }
    expect(pacer.delayMs("a")).toBeGreaterThan(0);
    expect(pacer.delayMs("b")).toBe(0);
  });

  it("never allows more than the limit in any second", async () => {
    const clock = new FakeClock();
    const pacer = new SwapPacer(clock, 20);
    const swaps: number[] = [];
    while (clock.monotonicMs() < 5_000) {
      const delayMs = pacer.delayMs("a");
      if (delayMs > 0) await clock.advance(delayMs);
      else {
        pacer.count("a");
        swaps.push(clock.monotonicMs());
      }
    }
    for (const atMs of swaps) {
      expect(
        swaps.filter((other) => other > atMs - 1_000 && other <= atMs).length,
      ).toBeLessThanOrEqual(20);
    }
    expect(swaps.length).toBeGreaterThanOrEqual(100);
  });
});
