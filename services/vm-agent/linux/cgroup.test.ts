import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/harness/eventually";
import {
  childCgroup,
  findCgroupParent,
  isInCgroup,
  killCgroup,
  listCgroup,
  makeCgroup,
  readCgroupName,
  removeCgroup,
  removeStaleCgroups,
} from "./cgroup";

const HOUR_MS = 3_600_000;

// Not every machine lets this user make groups; the product does without them there.
const parent = findCgroupParent();
if (parent) {
  describe("a control group", () => {
    const group = childCgroup(parent, `murmur-test-${process.pid}`);
    beforeEach(() => makeCgroup(group));
    afterEach(() => eventually(() => expect(removeCgroup(group)).toBe(true)));

    const enter = async (name: string): Promise<number> => {
      const inner = childCgroup(group, name);
      makeCgroup(inner);
      const child = spawn("sleep", ["1000"]);
      await once(child, "spawn");
      writeFileSync(join(inner.path, "cgroup.procs"), String(child.pid));
      return child.pid!;
    };

    test("lists and ends what is in it and below it, and is removed with all below", async () => {
      const pids = [await enter("a"), await enter("b")];
      expect(listCgroup(group).sort()).toEqual(pids.sort());
      expect(isInCgroup(readCgroupName(pids[0]!)!, group)).toBe(true);
      expect(isInCgroup(readCgroupName(process.pid)!, group)).toBe(false);
      expect(removeCgroup(group)).toBe(false);
      killCgroup(group);
      await eventually(() => expect(listCgroup(group)).toEqual([]));
      await eventually(() => expect(removeCgroup(group)).toBe(true));
      expect(existsSync(group.path)).toBe(false);
    });

    test("that nobody removed is removed when it is old and empty, and only then", async () => {
      await enter("murmur-used");
      makeCgroup(childCgroup(group, "murmur-empty"));
      makeCgroup(childCgroup(group, "other"));
      const left = (): string[] =>
        ["murmur-used", "murmur-empty", "other"].filter((name) =>
          existsSync(join(group.path, name)),
        );
      removeStaleCgroups(group, "murmur-", new Date());
      expect(left()).toEqual(["murmur-used", "murmur-empty", "other"]);
      removeStaleCgroups(group, "murmur-", new Date(Date.now() + HOUR_MS));
      expect(left()).toEqual(["murmur-used", "other"]);
      killCgroup(group);
    });
  });
}

test("a group's name does not contain one that only begins like it", () => {
  const group = { path: "/sys/fs/cgroup/a", name: "/a" };
  expect(isInCgroup("/a", group)).toBe(true);
  expect(isInCgroup("/a/b", group)).toBe(true);
  expect(isInCgroup("/ab", group)).toBe(false);
});

test("a group that is gone is empty, and removing or killing it is no error", () => {
  const gone = { path: "/sys/fs/cgroup/nowhere-at-all", name: "/nowhere-at-all" };
  expect(listCgroup(gone)).toEqual([]);
  killCgroup(gone);
  expect(removeCgroup(gone)).toBe(true);
});
