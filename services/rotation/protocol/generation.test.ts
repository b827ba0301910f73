import { greatest, nextGeneration } from "./generation";

test("the first generation of an agent is 1, each later one is higher", () => {
  expect([nextGeneration(undefined), nextGeneration(1), nextGeneration(7)]).toEqual([1, 2, 8]);
});

test("numbers and bigints are compared alike, and an absent one is lowest", () => {
  expect([greatest(undefined, 0), greatest(3, 2), greatest(3n, 2n), greatest(3n, 4n)]).toEqual([
    0,
    3,
    3n,
    4n,
  ]);
});
