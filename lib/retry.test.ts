import fc from "fast-check";
import { FakeClock } from "../test/fakes/fake-clock";
import { invalid, unavailable } from "./errors";
import { backoffMs, retry } from "./retry";

describe("retry", () => {
  it("repeats what may succeed later, after the time that the server named", async () => {
    const clock = new FakeClock();
    const times: number[] = [];
    const result = retry(
      () => {
        times.push(clock.monotonicMs());
        return times.length < 3
          ? Promise.reject(unavailable("away", undefined, 700))
          : Promise.resolve("ok");
      },
      { deadlineMs: 10_000, clock },
    );
    await clock.advance(5_000);
    expect(await result).toBe("ok");
    expect(times).toHaveLength(3);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(700);
  });

  it("throws at once what will never succeed, and the last error when time is up", async () => {
    const clock = new FakeClock();
    await expect(
      retry(() => Promise.reject(invalid("name", "bad")), { deadlineMs: 1_000, clock }),
    ).rejects.toThrow("bad");
    const late = retry(() => Promise.reject(unavailable("away", undefined, 0)), {
      deadlineMs: 1_000,
      clock,
    }).catch((error: unknown) => error);
    await clock.advance(2_000);
    expect(await late).toMatchObject({ code: "UNAVAILABLE" });
    expect(clock.sleeping).toBe(0);
  });

  it("stops waiting when it is aborted", async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const waiting = retry(() => Promise.reject(unavailable("away")), {
      deadlineMs: 60_000,
      clock,
      signal: controller.signal,
    });
    const outcome = waiting.catch((error: unknown) => error);
    await clock.advance(1);
    controller.abort();
    expect(await outcome).toMatchObject({ code: "UNAVAILABLE" });
  });
});

describe("backoffMs", () => {
  it("stays between half and all of a doubling ceiling", () => {
    fc.assert(
      fc.property(fc.nat(60), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, random) => {
        const ceiling = Math.min(5_000, 50 * 2 ** Math.min(attempt, 30));
        const delay = backoffMs(attempt, { random: () => random });
        expect(delay).toBeGreaterThanOrEqual(Math.floor(ceiling / 2));
        expect(delay).toBeLessThanOrEqual(ceiling);
      }),
    );
  });
});
