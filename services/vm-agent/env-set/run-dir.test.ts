import * as fs from "node:fs";
import { join } from "node:path";
import { createTestRunDir, type TestRunDir } from "../../../test/harness/env-files";
import { checkRunDir, prepareRunDir } from "./run-dir";

const UID = process.geteuid?.() ?? 0;

let runDir: TestRunDir;
let base: string;

beforeEach(() => {
  runDir = createTestRunDir();
  base = runDir.base;
});

afterEach(() => {
  runDir.remove();
});

test("the run directory is made passable, the agents' one passable but not listable", () => {
  const before = process.umask(0o077);
  try {
    const prepared = prepareRunDir(`${base}/a/b`, UID);
    expect(prepared.agentsDirectory).toBe(`${base}/a/b/agents`);
  } finally {
    process.umask(before);
  }
  expect(fs.statSync(`${base}/a/b`).mode & 0o7777).toBe(0o755);
  expect(fs.statSync(`${base}/a/b/agents`).mode & 0o7777).toBe(0o711);
  prepareRunDir(`${base}/a/b`, UID);
});

test.each<[string, (path: string) => void]>([
  ["is a link", (path) => fs.symlinkSync(base, path)],
  ["is a file", (path) => fs.writeFileSync(path, "")],
  ["may be written by others", (path) => openDirectory(path)],
  ["has agents that are a link", (path) => linkInside(path)],
])("a run directory that %s is refused", (_, make) => {
  make(`${base}/bad`);
  expect(() => prepareRunDir(`${base}/bad`, UID)).toThrow(/not safe|EEXIST|ENOTDIR/);
});

test("a run directory below one that others may replace is refused, through links too", () => {
  openDirectory(`${base}/open`);
  expect(() => prepareRunDir(`${base}/open/new/run`, UID)).toThrow(/open is not safe/);
  expect(fs.readdirSync(`${base}/open`)).toEqual([]);
  fs.symlinkSync(`${base}/open`, `${base}/link`);
  expect(() => prepareRunDir(`${base}/link/run`, UID)).toThrow(/not safe/);
  fs.chmodSync(`${base}/open`, 0o1777);
  expect(() => prepareRunDir(`${base}/open/run`, UID)).not.toThrow();
});

test("a run directory that belongs to another user is refused", () => {
  prepareRunDir(`${base}/other`, UID);
  expect(() => prepareRunDir(`${base}/other`, UID + 1)).toThrow(/belongs to user/);
});

test.each(["run/murmur", "/run/../etc", "/run/x/", "./x"])("the path %s is refused", (path) => {
  expect(() => prepareRunDir(path, UID)).toThrow(/plain absolute path/);
});

test("a file system that reaches a disk is worth a warning, a tmpfs without swap is not", () => {
  const proc = join(base, "proc");
  fs.mkdirSync(join(proc, "self"), { recursive: true });
  fs.writeFileSync(join(proc, "swaps"), "Filename\tType\tSize\tUsed\tPriority\n");
  fs.writeFileSync(join(proc, "self/mountinfo"), "");
  expect(checkRunDir("/dev/shm", proc)).toEqual([]);
  expect(checkRunDir(process.cwd(), proc).map(({ code }) => code)).toEqual(["not_tmpfs"]);
});

test("swap makes even a tmpfs worth a warning, unless it is mounted without", () => {
  const proc = join(base, "proc");
  fs.mkdirSync(join(proc, "self"), { recursive: true });
  fs.writeFileSync(join(proc, "swaps"), "Filename\tType\n/dev/sda2 partition 1 0 -2\n");
  const mounts = fs.readFileSync("/proc/self/mountinfo", "utf8");
  fs.writeFileSync(join(proc, "self/mountinfo"), mounts);
  expect(checkRunDir("/dev/shm", proc).map(({ code }) => code)).toEqual(["swap_on"]);
  const lines = mounts.split("\n").map((line) => (line === "" ? line : `${line},noswap`));
  fs.writeFileSync(join(proc, "self/mountinfo"), lines.join("\n"));
  expect(checkRunDir("/dev/shm", proc)).toEqual([]);
});

function openDirectory(path: string): void {
  fs.mkdirSync(path);
  fs.chmodSync(path, 0o777);
}

function linkInside(path: string): void {
  fs.mkdirSync(path);
  fs.symlinkSync(base, join(path, "agents"));
}
