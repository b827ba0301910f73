import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { failedPrecondition, unavailable } from "../../lib/errors";
import { createLog } from "../../lib/log";
import { beginIncarnation } from "./incarnation";

let directory: string;
let lines: string[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "murmur-incarnation-"));
  lines = [];
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const begin = (reconcileEveryMs = 30_000) =>
  beginIncarnation({
    ...{ stateDir: directory, reconcileEveryMs },
    log: createLog("test", "info", { write: (line) => lines.push(line) }),
  });
const refusal = (number: bigint, silentSeconds = 0) =>
  failedPrecondition(ErrorReason.ERROR_REASON_INCARNATION_SUPERSEDED, "another life", {
    incarnation_number: `${number}`,
    silent_seconds: `${silentSeconds}`,
  });
const warnings = () => lines.filter((line) => line.includes('"warn"'));

test("every start counts up by one", () => {
  expect([begin(), begin(), begin()].map(({ number }) => number)).toEqual([1n, 2n, 3n]);
});

test("a machine restored from an older image goes on above the number that is known, durably", () => {
  writeFileSync(join(directory, "incarnation"), "4\n");
  const restored = begin();
  expect(restored.failed(refusal(17n))).toBe(0);
  expect(restored.number).toBe(18n);
  expect(readFileSync(join(directory, "incarnation"), "utf8")).toBe("18\n");
  expect(begin().number).toBe(19n);
  expect(warnings()).toHaveLength(1);
});

test("a life that lost its place to a clone warns each time and waits longer and longer", () => {
  const original = begin();
  original.accepted();
  const waits = Array.from({ length: 8 }, () => original.failed(refusal(2n)));
  expect(original.number).toBe(1n);
  expect(warnings()).toHaveLength(8);
  expect(warnings()[0]).toContain("another machine with this VM's identity has taken its place");
  expect(waits[0]).toBeGreaterThanOrEqual(2_500);
  expect(waits[7]).toBeGreaterThanOrEqual(30_000);
  expect(Math.max(...waits)).toBeLessThanOrEqual(60_000);
});

test("a life that lost its place takes it back once the other is silent", () => {
  const original = begin();
  original.accepted();
  expect(original.failed(refusal(2n, 299))).toBeGreaterThan(0);
  expect(original.failed(refusal(2n, 300))).toBe(0);
  expect(original.number).toBe(3n);
});

test("a life that says hello seldom is not taken for silent", () => {
  const original = begin(600_000);
  original.accepted();
  expect(original.failed(refusal(2n, 2_399))).toBeGreaterThan(0);
  expect(original.failed(refusal(2n, 2_400))).toBe(0);
});

test("a number that nothing is above is left alone, and garbled ones are not believed", () => {
  const life = begin();
  expect(life.failed(refusal(2n ** 63n - 1n))).toBeGreaterThan(0);
  for (const number of ["", "-1", "1e3", "9".repeat(20)]) {
    const { reason } = refusal(1n);
    const garbled = failedPrecondition(reason, "x", { incarnation_number: number });
    expect(life.failed(garbled)).toBe(0);
  }
  expect(life.failed(unavailable("away"))).toBe(0);
  expect(life.number).toBe(1n);
});
