import { holdersOf, mayEndVersion, type KeptSnapshot, type Whereabouts } from "./holders";

const old = (agentId: string, generation?: number): KeptSnapshot => ({
  agentId,
  generation,
  holds: true,
});
const fresh = (agentId: string, generation: number): KeptSnapshot => ({
  agentId,
  generation,
  holds: false,
});

const at = (applied: number | undefined, desired = applied): Whereabouts => ({ applied, desired });

test("an agent that acked past the old version's generations does not hold it", () => {
  expect(holdersOf([old("a", 4), fresh("a", 5)], { a: at(5) })).toEqual([]);
});

test("an agent that is on the old version, or can still get it, holds it", () => {
  const kept = [fresh("c", 3), old("c", 4), old("b", 4), old("b", 5)];
  expect(holdersOf(kept, { b: at(4), c: at(3) })).toEqual(["b", "c"]);
});

test("an agent that lags between two sets without the old version does not hold it", () => {
  expect(holdersOf([fresh("a", 3), fresh("a", 4)], { a: at(3, 4) })).toEqual([]);
});

test("an agent of which no ack is known holds every version of its kept snapshots", () => {
  expect(holdersOf([old("a", 1), fresh("a", 2)], { a: at(undefined, 2) })).toEqual(["a"]);
  expect(holdersOf([old("spawned-since", 1)], {})).toEqual(["spawned-since"]);
});

test("an agent of which a snapshot on its way is not kept cannot be told, and counts", () => {
  expect(holdersOf([fresh("a", 5)], { a: at(4, 5) })).toEqual(["a"]);
  expect(holdersOf([fresh("a", 4)], { a: at(4, 5) })).toEqual(["a"]);
  expect(holdersOf([fresh("a", 4), fresh("a", 6)], { a: at(4, 6) })).toEqual(["a"]);
  expect(holdersOf([], { a: at(undefined, 1) })).toEqual(["a"]);
});

test("an agent that has no generation yet holds nothing", () => {
  expect(holdersOf([], { a: at(undefined) })).toEqual([]);
});

test("a snapshot that is being taken holds what it has read", () => {
  expect(holdersOf([fresh("a", 9), old("a")], { a: at(9) })).toEqual(["a"]);
});

test("a version is ended only when nobody holds it", () => {
  expect(mayEndVersion([])).toBe(true);
  expect(mayEndVersion(["a"])).toBe(false);
});
