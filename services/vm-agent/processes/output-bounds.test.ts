import {
  appendFileSync,
  mkdtempSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../../lib/log";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { boundOutputs, type OutputBoundsDeps } from "./output-bounds";

const MAX = 1000;

let directory: string;
let clock: FakeClock;
let stopping: AbortController;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "murmur-outputs-"));
  clock = new FakeClock();
  stopping = new AbortController();
});
afterEach(() => {
  stopping.abort();
  rmSync(directory, { recursive: true, force: true });
});

const pathOf = (agentId: string) => join(directory, agentId);
const sizeOf = (agentId: string) => statSync(pathOf(agentId)).size;
const cutAtOnce = (path: string) => {
  truncateSync(path, 0);
  return Promise.resolve();
};
const run = (more: Partial<OutputBoundsDeps> = {}) =>
  boundOutputs(
    {
      agents: () => [{ agentId: "a", hasEnded: false }],
      ...{ pathOf, maxBytes: MAX, cut: cutAtOnce, clock, log: silentLog },
      ...more,
    },
    stopping.signal,
  );

test.each([1, 10, 100, 400])(
  "an output that grows by %d thousandths of its limit in 50 ms is over it by that at most",
  async (bytes) => {
    writeFileSync(pathOf("a"), "");
    const running = run();
    let largest = 0;
    for (let step = 0; step < 3_000; step++) {
      await clock.advance(50);
      largest = Math.max(largest, sizeOf("a"));
      appendFileSync(pathOf("a"), Buffer.alloc(bytes));
    }
    // Of the first second nothing is known but that it was quiet before.
    const first = bytes * 20 > MAX ? bytes * 20 : 0;
    expect(largest).toBeLessThanOrEqual(Math.max(first, MAX) + 2 * bytes);
    stopping.abort();
    await running;
  },
  60_000,
);

test("a quiet output is looked at once a second", async () => {
  writeFileSync(pathOf("a"), "");
  let looks = 0;
  const counted = (agentId: string) => {
    looks++;
    return pathOf(agentId);
  };
  const running = run({ pathOf: counted });
  await clock.advance(60_000);
  expect(looks).toBeGreaterThanOrEqual(59);
  expect(looks).toBeLessThanOrEqual(62);
  stopping.abort();
  await running;
});

test("an output is cut by one at a time, others meanwhile, and the end waits for it", async () => {
  for (const agentId of ["a", "b"]) writeFileSync(pathOf(agentId), Buffer.alloc(MAX + 1));
  const cuts: string[] = [];
  let finish: () => void = () => undefined;
  const running = run({
    agents: () => ["a", "b"].map((agentId) => ({ agentId, hasEnded: false })),
    cut: (path) => {
      cuts.push(path);
      return new Promise((resolve) => (finish = resolve));
    },
  });
  await clock.advance(10_000);
  expect(cuts).toEqual([pathOf("a"), pathOf("b")]);
  let isOver = false;
  void running.then(() => (isOver = true));
  stopping.abort();
  await clock.advance(1_000);
  expect(isOver).toBe(false);
  finish();
});

test("what an agent wrote last before it ended is cut, too, and then left alone", async () => {
  writeFileSync(pathOf("a"), "");
  let hasEnded = false;
  const running = run({ agents: () => [{ agentId: "a", hasEnded }] });
  await clock.advance(500);
  writeFileSync(pathOf("a"), Buffer.alloc(50 * MAX));
  hasEnded = true;
  await clock.advance(2_000);
  expect(sizeOf("a")).toBe(0);
  stopping.abort();
  await running;
});

test("an output that is not there, or cannot be cut, keeps no other from its limit", async () => {
  writeFileSync(pathOf("b"), Buffer.alloc(MAX + 1));
  writeFileSync(pathOf("c"), Buffer.alloc(MAX + 1));
  const running = run({
    agents: () => ["a", "b", "c"].map((agentId) => ({ agentId, hasEnded: false })),
    cut: (path) => (path === pathOf("b") ? Promise.reject(new Error("no")) : cutAtOnce(path)),
  });
  await clock.advance(2_000);
  expect(sizeOf("c")).toBe(0);
  stopping.abort();
  await running;
});
