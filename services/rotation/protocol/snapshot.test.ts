import fc from "fast-check";
import { currentPins, isVersionAlive, lockOrder, SNAPSHOT_STEPS } from "./snapshot";

test("rows are locked before versions are read", () => {
  expect(SNAPSHOT_STEPS).toEqual(["lock", "read"]);
});

test("any two snapshots lock the agents that they share in the same order", () => {
  const ids = fc.array(fc.uuid(), { maxLength: 8 });
  fc.assert(
    fc.property(ids, ids, ids, (shared, mine, yours) => {
      const one = lockOrder([...mine, ...shared]).filter((id) => shared.includes(id));
      const two = lockOrder([...shared.toReversed(), ...yours]).filter((id) => shared.includes(id));
      expect(one).toEqual(two);
    }),
  );
});

test("a row is locked once, however often its agent is named", () => {
  expect(lockOrder(["b", "a", "b"])).toEqual(["a", "b"]);
});

test("a snapshot holds the current version of each name that lives", () => {
  expect(
    currentPins({
      A: { current: 3, deletedThrough: 0, revoked: [] },
      B: { current: undefined, deletedThrough: 2, revoked: [] },
    }),
  ).toEqual({ A: 3 });
});

test("a version of an ended life of a name, or a revoked one, is not alive", () => {
  const secret = { current: 6, deletedThrough: 3, revoked: [4] };
  expect([3, 4, 5, 6].map((version) => isVersionAlive(secret, version))).toEqual([
    false,
    false,
    true,
    true,
  ]);
  expect(isVersionAlive(undefined, 1)).toBe(false);
  expect(isVersionAlive({ ...secret, current: undefined }, 5)).toBe(false);
});
