import fc from "fast-check";
import { openRollbackSources, rollbackPins, rollbackSource } from "./rollback";
import { isVersionAlive, type SecretState } from "./snapshot";

const name = fc.constantFrom("A", "B", "C");
const version = fc.integer({ min: 1, max: 6 });
const secret: fc.Arbitrary<SecretState> = fc
  .record({ latest: version, deleted: fc.nat(5), gone: fc.boolean(), revoked: fc.array(version) })
  .map(({ latest, deleted, gone, revoked }) => ({
    current: gone ? undefined : latest + deleted,
    deletedThrough: gone ? latest + deleted : deleted,
    revoked: revoked.filter((each) => each !== latest + deleted),
  }));
const pinsOf = fc.dictionary(name, version, { noNullPrototype: true });
const secretsOf = fc.dictionary(name, secret, { noNullPrototype: true });

test("a rollback never brings a deleted or revoked version back to life", () => {
  fc.assert(
    fc.property(pinsOf, secretsOf, (old, current) => {
      for (const [each, pinned] of Object.entries(rollbackPins(old, current).pins)) {
        expect(isVersionAlive(current[each], pinned)).toBe(true);
      }
    }),
  );
});

test("a name is on its old version, or is listed and keeps its current state", () => {
  fc.assert(
    fc.property(pinsOf, secretsOf, (old, current) => {
      const { pins, notRolledBack } = rollbackPins(old, current);
      for (const [each, pinned] of Object.entries(old)) {
        const expected = notRolledBack.includes(each) ? current[each]?.current : pinned;
        expect(pins[each]).toBe(expected);
      }
      expect(Object.keys(pins).every((each) => each in old)).toBe(true);
    }),
  );
});

test("a name that was deleted and set again keeps its new life's version and is listed", () => {
  const current = { A: { current: 4, deletedThrough: 3, revoked: [] } };
  expect(rollbackPins({ A: 2 }, current)).toEqual({ pins: { A: 4 }, notRolledBack: ["A"] });
});

test("a first generation, and one overtaken before its commit, have nothing to go back to", () => {
  expect(rollbackSource(undefined, 1)).toBeUndefined();
  expect(rollbackSource(0n, 1n)).toBeUndefined();
  expect(rollbackSource(6, 5)).toBeUndefined();
  expect(rollbackSource(4n, 5n)).toBe(4n);
});

test("the sources of open rollouts and of the latest one are kept, the others are let go", () => {
  const targets = [
    { generation: 3, source: 2, rolloutOpen: false },
    { generation: 4, source: 3, rolloutOpen: true },
    { generation: 5, source: 4, rolloutOpen: false },
  ];
  expect(openRollbackSources(targets)).toEqual([3, 4]);
  expect(openRollbackSources([])).toEqual([]);
});
