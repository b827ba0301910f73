import { holdersOf, mayEndVersion } from "./holders";

test("an agent that acked past the old version's generations does not hold it", () => {
  expect(holdersOf([{ agentId: "a", generation: 4 }], { a: 5 })).toEqual([]);
});

test("an agent that is on the old version, or can still get it, holds it", () => {
  const snapshots = [
    { agentId: "c", generation: 4 },
    { agentId: "b", generation: 4 },
    { agentId: "b", generation: 5 },
  ];
  expect(holdersOf(snapshots, { b: 4, c: 3 })).toEqual(["b", "c"]);
});

test("an agent of which no ack is known holds every version of its kept snapshots", () => {
  expect(holdersOf([{ agentId: "a", generation: 1 }], {})).toEqual(["a"]);
});

test("a snapshot that is being taken holds what it has read", () => {
  expect(holdersOf([{ agentId: "a", generation: undefined }], { a: 9 })).toEqual(["a"]);
});

test("a version is ended only when nobody holds it", () => {
  expect(mayEndVersion([])).toBe(true);
  expect(mayEndVersion(["a"])).toBe(false);
});
