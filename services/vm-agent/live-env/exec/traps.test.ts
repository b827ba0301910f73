import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../../../test/harness/eventually";
import { createTestDirectory, type TestDirectory } from "../test-directory";
import { environmentOf, EXEC_OBJECT, run } from "./exec-program";

const OLD = { TOKEN: "old-value" };
const GOOD = { status: 0, stderr: "" };
let directory: TestDirectory;
let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "murmur-exec-"));
  directory = createTestDirectory([{ generation: 1, set: OLD }]);
  directory.swap({ generation: 2, set: { TOKEN: "new-value" } });
});
afterEach(() => {
  directory.remove();
  rmSync(scratch, { recursive: true, force: true });
});

const at = (block: Record<string, string> = {}) => ({
  ...{ directory: directory.path, generation: 1, block: { ...OLD, ...block } },
});
const live = () => join(directory.path, "..data/live");
const receipts = () => join(directory.path, "receipts");

const makePipe = (path: string) => execFileSync("mkfifo", [path]);
function replaceBy(make: (path: string) => unknown, path: string): void {
  rmSync(path);
  make(path);
}

describe("a program does what it would have without us", () => {
  it.each([
    ["its exit code", "exit 7"],
    ["a death by signal", "kill -TERM $$"],
    ["its words", 'echo "$0|$#|$*"'],
    ["its descriptors", "ls -l /proc/self/fd | sed 's/.* \\([0-9]* -> \\)/\\1/' | grep -c ."],
    ["nothing watched", "ls -l /proc/self/fd | grep -c inotify"],
    ["its input", "cat"],
    ["its working directory", "pwd"],
  ])("%s", (_, script) => {
    const words = ["-c", script, "name", "one", "two three"] as const;
    const { pid, ...inside } = run({ ...at(), input: "some\ninput" }, "sh", ...words);
    const outside = { ...at({ LD_PRELOAD: "" }), input: "some\ninput" };
    expect(inside).toEqual({ ...run(outside, "sh", ...words), pid: undefined });
    expect(pid).toBeGreaterThan(0);
  });
});

describe("no program is disturbed", () => {
  const asBefore = () =>
    expect(run(at(), "printenv", "TOKEN")).toMatchObject({ ...GOOD, stdout: "old-value\n" });

  it("by a live file that is cut short anywhere", () => {
    const { length } = readFileSync(live());
    chmodSync(live(), 0o600);
    for (let size = length - 1; size >= 0; size -= 7) {
      truncateSync(live(), size);
      asBefore();
    }
  });

  it("by a live file that is garbled anywhere", () => {
    const good = readFileSync(live());
    chmodSync(live(), 0o600);
    for (let place = 0; place < good.length; place++) {
      const bad = Buffer.from(good);
      bad[place]! ^= 1 << (place % 8);
      if (place % 3 === 0) bad.fill(0xff, place, Math.min(place + 4, bad.length));
      writeFileSync(live(), bad);
      const { status, stderr } = run(at(), "printenv", "TOKEN");
      // What was garbled into "unset" is unset.
      expect({ place, status: status === 1 ? 0 : status, stderr }).toEqual({ place, ...GOOD });
    }
  });

  it.each([
    ["that is not there", () => rmSync(live(), { force: true })],
    ["that is a directory", () => replaceBy(mkdirSync, live())],
    ["that is a pipe", () => replaceBy(makePipe, live())],
    ["whose directory is gone", () => directory.remove()],
  ])("by a live file %s", (_, change) => {
    change();
    asBefore();
  });

  it.each([
    ["that is not there", () => rmSync(receipts())],
    ["that is cut short", () => truncateSync(receipts(), 100)],
    ["that is a directory", () => replaceBy(mkdirSync, receipts())],
    ["that is a pipe", () => replaceBy(makePipe, receipts())],
  ])("by a receipts file %s", (_, change) => {
    change();
    expect(run(at(), "printenv", "TOKEN")).toMatchObject({ ...GOOD, stdout: "new-value\n" });
  });

  it("by an agent that ends while it runs", async () => {
    const script = "read -r _; printenv TOKEN; exec printenv TOKEN";
    const child = spawn("sh", ["-c", script], { env: environmentOf(at()), stdio: "pipe" });
    const output: Buffer[] = [];
    child.stdout.on("data", (data: Buffer) => output.push(data));
    child.stderr.on("data", (data: Buffer) => output.push(data));
    await eventually(() => expect(directory.receiptOf(child.pid!)).toBeDefined());
    directory.remove();
    child.stdin.end("\n");
    await once(child, "close");
    expect(Buffer.concat(output).toString()).toBe("new-value\nnew-value\n");
    expect(child.exitCode).toBe(0);
  });
});

it("a link in the place of the receipts is not followed", () => {
  const other = join(scratch, "other");
  writeFileSync(other, Buffer.alloc(4096 * 64));
  rmSync(receipts());
  symlinkSync(other, receipts());
  expect(run(at(), "true")).toMatchObject(GOOD);
  expect(readFileSync(other).equals(Buffer.alloc(4096 * 64))).toBe(true);
});

// Only root can make a program another user's.
if (process.getuid?.() === 0)
  it("a program with another user's rights is left alone", () => {
    const program = join(scratch, "printenv");
    copyFileSync(execFileSync("which", ["printenv"], { encoding: "utf8" }).trim(), program);
    chmodSync(scratch, 0o755);
    chownSync(program, 65_534, 65_534);
    chmodSync(program, 0o4755);
    const isSecure = spawnSync("sh", ["-c", `exec '${program}' LD_PRELOAD`], {
      ...{ env: { LD_PRELOAD: EXEC_OBJECT }, encoding: "utf8" },
    });
    // A file system without set-user-ID takes the case away. The loader drops the name then.
    if (isSecure.status === 0) return;
    const seen = run(at(), program, "TOKEN");
    expect(seen).toMatchObject({ ...GOOD, stdout: "old-value\n" });
    expect(directory.receiptOf(seen.pid)).toBeUndefined();
  });

it("a storm of short-lived programs has whole sets only, never an older one, while sets change", async () => {
  const script =
    "for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5 6 7 8 9 10; do env -0; done; done";
  const set = (generation: number) => ({ TOKEN: `t${generation}`, TWIN: `w${generation}` });
  directory.swap({ generation: 3, set: set(3) });
  const block = { ...at(), generation: 3, block: set(3) };
  let generation = 3;
  const storms = [1, 2, 3].map(async () => {
    const child = spawn("sh", ["-c", script], { env: environmentOf(block), stdio: "pipe" });
    const said: Buffer[] = [];
    child.stdout.on("data", (data: Buffer) => {
      said.push(data);
      if (generation < 100) directory.swap({ generation: ++generation, set: set(generation) });
    });
    child.stderr.on("data", (data: Buffer) => said.push(data));
    await once(child, "close");
    expect(child.exitCode).toBe(0);
    return Buffer.concat(said).toString().split("\0");
  });
  for (const names of await Promise.all(storms)) {
    const of = (name: string) =>
      names.flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []));
    const generations = of("MURMUR_GENERATION").map(Number);
    expect(generations).toHaveLength(100);
    expect(of("TOKEN")).toEqual(generations.map((n) => `t${n}`));
    expect(of("TWIN")).toEqual(generations.map((n) => `w${n}`));
    expect(generations).toEqual([...generations].sort((a, b) => a - b));
  }
  expect(readFileSync(receipts())).toHaveLength(4096 * 64);
}, 60_000);
