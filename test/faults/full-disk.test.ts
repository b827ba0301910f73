import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { agentOwner } from "../harness/env-files";
import { type ChildProgram, compileChild } from "./child-program";
import { type FullDiskRun } from "./full-disk-child";

const IS_ROOT = process.geteuid?.() === 0;

let program: ChildProgram;

beforeAll(() => {
  program = compileChild("full-disk-child.ts");
});

afterAll(() => {
  program.remove();
});

const FORTY_PAGES = Array.from({ length: 41 }, (_, pages) => pages);

test.each([
  ["of space", FORTY_PAGES, ["size=512k"]],
  ["of inodes", [60], [23, 25, 27, 29, 31, 33, 44].map((count) => `size=512k,nr_inodes=${count}`)],
])(
  "whatever little there is %s, the old set stays whole or the new one stands whole",
  (_, freePages, mounts) => {
    const runs = mounts.flatMap((options) => runOnTmpfs(options, freePages));
    for (const run of runs) {
      const isRight =
        run.leftovers.length === 0 &&
        (run.outcome === "swapped" ? run.standing === "new" : run.standing === "old") &&
        ["swapped", "no_space"].includes(run.outcome);
      expect({ ...run, isRight }).toEqual({ ...run, isRight: true });
    }
    // The test has seen both ends, and the file system itself refuse in the middle of a set.
    expect(new Set(runs.map(({ outcome }) => outcome))).toEqual(new Set(["swapped", "no_space"]));
    expect(runs.some((run) => run.isMisled && run.outcome === "no_space")).toBe(true);
  },
);

/** In a mount namespace of its own, so that nothing stays mounted however this ends. */
function runOnTmpfs(options: string, freePages: readonly number[]): FullDiskRun[] {
  const mountPoint = join(program.directory, "small");
  mkdirSync(mountPoint, { recursive: true });
  const owner = IS_ROOT ? agentOwner : { uid: 0, gid: 0 };
  const script = 'mount -t tmpfs -o "$1,mode=755" tmpfs "$2" && shift 2 && exec "$0" "$@"';
  const output = execFileSync(
    "unshare",
    [
      IS_ROOT ? "-m" : "-Urm",
      "sh",
      "-c",
      script,
      process.execPath,
      options,
      mountPoint,
      program.path,
      mountPoint,
      String(owner.uid),
      String(owner.gid),
      ...freePages.map(String),
    ],
    { encoding: "utf8", timeout: 60_000 },
  );
  return JSON.parse(output) as FullDiskRun[];
}
