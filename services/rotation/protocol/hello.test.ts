import fc from "fast-check";
import { isHelloCurrent, mergeHello } from "./hello";

const applied = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.integer({ min: 1, max: 9 }), {
  noNullPrototype: true,
});

test("a hello replaces what was believed, and a rebooted VM has nothing", () => {
  expect(mergeHello({ a: 5, b: 3 }, { applied: { a: 4 } })).toEqual({ a: 4, b: undefined });
  expect(mergeHello({ a: 5 }, { applied: {} })).toEqual({ a: undefined });
});

test("what was believed before a hello does not shine through, whatever it was", () => {
  fc.assert(
    fc.property(applied, applied, applied, (placed, other, said) => {
      const scrambled = Object.fromEntries(Object.keys(placed).map((id) => [id, other[id]]));
      expect(mergeHello(scrambled, { applied: said })).toEqual(
        mergeHello(placed, { applied: said }),
      );
    }),
  );
});

test("a VM cannot speak for agents of another VM", () => {
  fc.assert(
    fc.property(applied, applied, (placed, said) => {
      expect(Object.keys(mergeHello(placed, { applied: said }))).toEqual(Object.keys(placed));
    }),
  );
});

test("a hello of an earlier start of the daemon is ignored, a repeated one is not", () => {
  const known = { bootId: "b", incarnation: 3 };
  expect(isHelloCurrent(known, { bootId: "b", incarnation: 2 })).toBe(false);
  expect(isHelloCurrent(known, { bootId: "b", incarnation: 3 })).toBe(true);
  expect(isHelloCurrent(known, { bootId: "c", incarnation: 4 })).toBe(true);
  expect(isHelloCurrent(undefined, { bootId: "a", incarnation: 1 })).toBe(true);
});
