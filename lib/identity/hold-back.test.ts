import { FakeClock } from "../../test/fakes/fake-clock";
import { holdBack } from "./hold-back";

/** Work that ends by itself after so long, and when it is told of. */
async function toldAfterMs(workMs: number, isRefused: boolean): Promise<number> {
  const clock = new FakeClock();
  const told = { atMs: Number.NaN };
  const startMs = clock.monotonicMs();
  const telling = holdBack(
    clock,
    clock.sleep(workMs).then(() => isRefused),
    (result) => result,
  ).then(() => (told.atMs = clock.monotonicMs() - startMs));
  for (let ms = 0; ms < 100; ms++) await clock.advance(1);
  await telling;
  return told.atMs;
}

describe("what is held back", () => {
  it.each([
    [1, 20],
    [3, 20],
    [19, 20],
    [21, 40],
    [39, 40],
    [41, 60],
  ])("is a refusal that took %d ms to find: it is told after %d", async (workMs, atMs) => {
    expect(await toldAfterMs(workMs, true)).toBe(atMs);
  });

  it("is nothing else", async () => {
    expect(await toldAfterMs(3, false)).toBe(3);
  });

  it("is no failure", async () => {
    const work = Promise.reject(new Error("away"));
    await expect(holdBack(new FakeClock(), work, () => true)).rejects.toThrow("away");
  });
});
