import fc from "fast-check";
import { raiseDesired, shouldFetch } from "./desired";

const generation = fc.bigInt({ min: 1n, max: 50n });

test("desired ends at the highest generation, in whatever order rekeys are committed", () => {
  fc.assert(
    fc.property(fc.array(generation, { minLength: 1 }), (commits) => {
      const after: bigint[] = [];
      for (const next of commits) after.push(raiseDesired(after.at(-1), next));
      const highest = commits.reduce((a, b) => (a > b ? a : b));
      expect(after.at(-1)).toBe(highest);
      expect(after.every((value, i) => i === 0 || value >= (after[i - 1] ?? 0n))).toBe(true);
    }),
  );
});

test("an agent is brought to its desired generation only when it has none or an older one", () => {
  expect(shouldFetch(3, undefined)).toBe(true);
  expect(shouldFetch(3, 0)).toBe(true);
  expect(shouldFetch(3, 2)).toBe(true);
  expect(shouldFetch(3, 3)).toBe(false);
  expect(shouldFetch(3, 4)).toBe(false);
  expect(shouldFetch<number>(undefined, undefined)).toBe(false);
  expect(shouldFetch(0, undefined)).toBe(false);
});
