import { FreeSpace } from "./free-space";
import { type PinnedDirectory } from "./pinned-directory";

let nowMs: number;
let freeBytes: number;
let asked: number;
let space: FreeSpace;
const directory = {
  label: "/run/x",
  freeBytes: () => {
    asked++;
    return freeBytes;
  },
} as unknown as PinnedDirectory;

beforeEach(() => {
  nowMs = 0;
  freeBytes = 1000;
  asked = 0;
  space = new FreeSpace({ monotonicMs: () => nowMs });
});

test("a swap that does not fit is refused each time, and one that fits again is not", () => {
  expect(() => {
    space.require(directory, 1001);
  }).toThrow(/less than 1001 bytes/);
  expect(() => {
    space.require(directory, 1001);
  }).toThrow();
  freeBytes = 1001;
  space.require(directory, 1001);
});

test("many swaps ask once, but never live on more than half of what was free", () => {
  for (let swaps = 0; swaps < 5; swaps++) space.require(directory, 100);
  expect(asked).toBe(1);
  freeBytes = 50;
  expect(() => {
    space.require(directory, 100);
  }).toThrow();
});

test("an answer is trusted for 50 ms at most", () => {
  space.require(directory, 1);
  freeBytes = 0;
  nowMs = 49;
  space.require(directory, 1);
  nowMs = 50;
  expect(() => {
    space.require(directory, 1);
  }).toThrow();
});
