import fc from "fast-check";
import { fetchVerdict, needsNewSnapshot, raiseFloor, releaseFloor } from "./release";

const generation = fc.integer({ min: 1, max: 20 });

test("nothing that is desired, applied, or the source of a rollback is below the floor", () => {
  fc.assert(
    fc.property(generation, generation, fc.array(generation), (desired, applied, sources) => {
      const floor = releaseFloor({ desired, applied, rollbackSources: sources });
      expect(floor).toBe(Math.min(desired, applied, ...sources));
    }),
  );
});

test("nothing is released of an agent without a desired generation or a known applied one", () => {
  const rollbackSources = [1];
  expect(releaseFloor({ desired: undefined, applied: 2, rollbackSources })).toBeUndefined();
  expect(releaseFloor({ desired: 2, applied: undefined, rollbackSources })).toBeUndefined();
});

test("the floor never sinks, in whatever order releases arrive", () => {
  expect(raiseFloor(undefined, 3)).toBe(3);
  expect(raiseFloor(5n, 3n)).toBe(5n);
});

test("a fetch below the floor is refused, one of a missing generation is told so", () => {
  expect(fetchVerdict(2, { floor: 3, readable: true })).toBe("below-floor");
  expect(fetchVerdict(3, { floor: 3, readable: true })).toBe("deliver");
  expect(fetchVerdict(3, { floor: 3, readable: false })).toBe("gone");
  expect(fetchVerdict(1n, { floor: undefined, readable: true })).toBe("deliver");
});

test("a lost generation is made anew only while it is the desired one", () => {
  expect(needsNewSnapshot(4, 4)).toBe(true);
  expect(needsNewSnapshot(5, 4)).toBe(false);
  expect(needsNewSnapshot<number>(undefined, 4)).toBe(false);
});
