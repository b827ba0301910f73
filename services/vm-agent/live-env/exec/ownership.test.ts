import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OWNERSHIP_CASES, type OwnershipCase } from "../ownership-cases";
import { createTestDirectory } from "../test-directory";
import { parseBlock, pick, run } from "./exec-program";

const scratch = mkdtempSync(join(tmpdir(), "murmur-exec-"));
const printBlock = join(scratch, "print-block");

beforeAll(() => {
  const built = spawnSync("gcc", ["-o", printBlock, join(__dirname, "print-block.c")]);
  expect(built.stderr.toString()).toBe("");
});
afterAll(() => rmSync(scratch, { recursive: true }));

function namesOf({ delivered, block, expected }: OwnershipCase): string[] {
  return [...delivered.map(({ set }) => set), block, expected].flatMap(Object.keys);
}

const PROGRAMS: Record<string, [string, ...string[]]> = {
  "a C program": [printBlock],
  env: ["env", "-0"],
  perl: ["perl", "-e", 'print "$_=$ENV{$_}\\0" for keys %ENV'],
  "a child of dash": ["/bin/sh", "-c", "exec env -0"],
};

describe.each(Object.entries(PROGRAMS))("%s", (_, [program, ...args]) => {
  it.each(OWNERSHIP_CASES)("$name", (given) => {
    const directory = createTestDirectory(given.delivered);
    const { block, blockGeneration: generation, expected } = given;
    const seen = run({ directory: directory.path, generation, block }, program, ...args);
    directory.remove();
    expect(seen).toMatchObject({ status: 0, stderr: "" });
    const found = parseBlock(seen.stdout);
    expect(pick(found, namesOf(given))).toEqual(expected);
    const last = given.delivered.at(-1)!.generation;
    const now = generation === undefined ? undefined : String(Math.max(generation, last));
    expect(found["MURMUR_GENERATION"]).toBe(now);
  });
});
