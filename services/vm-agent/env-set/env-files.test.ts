import * as fs from "node:fs";
import { join } from "node:path";
import {
  agentOwner,
  createTestRunDir,
  expectedSet,
  generationNames,
  seenSet,
  type TestRunDir,
} from "../../../test/harness/env-files";
import { envSetOf } from "../../../test/harness/env-sets";
import { sensitive } from "../../../lib/sensitive";
import { type EnvFiles } from "./env-files";
import { render, type RenderedSet } from "./render";

const AGENT = "agent-1";
const IS_ROOT = process.geteuid?.() === 0;

let runDir: TestRunDir;
let files: EnvFiles;
let directory: string;

beforeEach(() => {
  runDir = createTestRunDir();
  files = runDir.start();
  directory = files.directoryOf(AGENT);
});

afterEach(() => {
  runDir.remove();
});

test("a set stands under the names that users see, each a link through ..data", () => {
  const set = setOf(1n, { docker: true, file: true });
  files.swap(set, agentOwner);
  for (const name of ["env", "env.sh", "env.json", "env.docker", "files", "generation"]) {
    expect(fs.readlinkSync(join(directory, name))).toBe(`..data/${name}`);
  }
  expect(fs.readFileSync(join(directory, "generation"), "utf8")).toBe("1\n");
  expect(fs.readFileSync(join(directory, "files/CERT"), "utf8")).toBe("cert 1");
  expect(fs.readlinkSync(join(directory, "..data"))).toMatch(/^\.\.g1-[0-9a-z]+$/);
  expect(seenSet(directory)).toEqual(expectedSet(set));
});

test("files are the agent's, 0400; directories the daemon's and the agent's group's, 0750", () => {
  // Only root can work where the umask takes even the owner's rights.
  for (const umask of [0o022, 0o077, 0, ...(IS_ROOT ? [0o777] : [])]) {
    const before = process.umask(umask);
    try {
      files = runDir.start();
      files.swap(setOf(1n, { file: true }), agentOwner);
    } finally {
      process.umask(before);
    }
    const generation = fs.realpathSync(join(directory, "..data"));
    const dirs = [directory, generation, join(generation, "files")].map((path) => modeOf(path));
    const uid = process.geteuid?.();
    expect(dirs).toEqual(dirs.map(() => ({ mode: 0o750, uid, gid: agentOwner.gid })));
    for (const name of ["env", "env.sh", "env.json", "generation", "files/CERT"]) {
      expect(modeOf(join(generation, name))).toEqual({ mode: 0o400, ...agentOwner });
    }
    const daemons = { uid, gid: process.getegid?.() };
    expect(modeOf(join(generation, ".manifest"))).toEqual({ mode: 0o400, ...daemons });
    files.remove(AGENT);
  }
});

test("no file is ever wider than it ends, and no directory is entered before it is whole", () => {
  const seen: string[] = [];
  const watching = new Proxy(fs, {
    get: (target, name) => {
      const real = Reflect.get(target, name) as (...args: unknown[]) => unknown;
      if (name !== "openSync" && name !== "mkdirSync") return real;
      return (...args: unknown[]) => {
        const result = real(...args);
        const stat =
          typeof result === "number" ? fs.fstatSync(result) : fs.lstatSync(String(args[0]));
        if (stat.size === 0 || name === "mkdirSync") {
          seen.push(
            `${stat.isDirectory() ? "directory" : "file"} ${(stat.mode & 0o777).toString(8)}`,
          );
        }
        return result;
      };
    },
  });
  const before = process.umask(0);
  try {
    runDir.start(watching).swap(setOf(1n, { file: true }), agentOwner);
  } finally {
    process.umask(before);
  }
  const created = new Set(seen.filter((it) => !it.endsWith("750") && it !== "directory 711"));
  expect(created).toEqual(new Set(["directory 700", "file 400", "file 600", "file 640"]));
});

test("the page holds the generation in force, eight bytes, in the same file for ever", () => {
  files.swap(setOf(1n), agentOwner);
  const first = fs.statSync(join(directory, "page"));
  const huge = 2n ** 40n + 5n;
  files.swap(setOf(huge), agentOwner);
  expect(fs.readFileSync(join(directory, "page")).readBigUInt64LE()).toBe(huge);
  expect(fs.statSync(join(directory, "page"))).toMatchObject({ ino: first.ino, size: 8 });
  expect(first.mode & 0o777).toBe(0o640);
});

test("forms and files that a later set lacks lose their names", () => {
  files.swap(setOf(1n, { docker: true, file: true }), agentOwner);
  files.swap(setOf(2n), agentOwner);
  const visible = fs.readdirSync(directory).filter((name) => !name.startsWith("."));
  expect(visible.sort()).toEqual(["env", "env.json", "env.sh", "generation", "page", "receipts"]);
});

test("what is read back is what was swapped in, names to unset included", () => {
  expect(files.readCurrent(AGENT)).toBeUndefined();
  files.swap(setOf(3n, { unset: ["GONE"] }), agentOwner);
  const current = files.readCurrent(AGENT);
  expect(current).toMatchObject({ generation: 3n, unset: ["GONE"] });
  expect(current?.variables.get("NAME_0")?.expose().toString()).toBe("value of 3");
  expect(current?.directory).toBe(fs.realpathSync(join(directory, "..data")));
});

test("at most three generations stay, the one in force among them", () => {
  for (let generation = 1n; generation <= 6n; generation++) {
    files.swap(setOf(generation), agentOwner);
    files.prune(AGENT);
  }
  const kept = generationNames(directory).map((name) => name.split("-")[0]);
  expect(kept.sort()).toEqual(["..g4", "..g5", "..g6"]);
  for (let times = 0; times < 5; times++) files.swap(setOf(6n), agentOwner);
  files.prune(AGENT);
  expect(generationNames(directory)).toHaveLength(3);
  expect(seenSet(directory)).toEqual(expectedSet(setOf(6n)));
});

test("nothing of an agent that ended is left, and it may end twice", () => {
  files.swap(setOf(1n, { file: true }), agentOwner);
  files.remove(AGENT);
  files.remove(AGENT);
  expect(fs.readdirSync(runDir.agentsDirectory)).toEqual([]);
  files.swap(setOf(2n), agentOwner);
  expect(seenSet(directory)).toEqual(expectedSet(setOf(2n)));
});

describe("verification", () => {
  const EXPECTED = { generation: 5n, fingerprint: "f5" };

  beforeEach(() => {
    files.swap(setOf(5n, { file: true }), agentOwner);
  });

  test("tells whole, another generation, another fingerprint and nothing apart", () => {
    expect(verdict(EXPECTED)).toEqual({ state: "whole" });
    const other = { state: "other", generation: 5n, fingerprint: "f5" };
    expect(verdict({ ...EXPECTED, generation: 6n })).toEqual(other);
    expect(verdict({ ...EXPECTED, fingerprint: "f6" })).toEqual(other);
    files.remove(AGENT);
    expect(verdict(EXPECTED)).toEqual({ state: "absent" });
  });

  test.each<[string, string[], (generation: string) => void]>([
    ["a missing file", ["env.sh: missing"], (at) => fs.unlinkSync(`${at}/env.sh`)],
    ["a changed byte", ["env: content"], (at) => rewrite(`${at}/env`, "NAME_0=valuE of 5\n")],
    ["a byte more", ["env: missing"], (at) => resize(`${at}/env`, 1)],
    ["a truncated file", ["env.json: content"], (at) => resize(`${at}/env.json`, -9)],
    ["a wider mode", ["env: mode"], (at) => fs.chmodSync(`${at}/env`, 0o444)],
    ["a link for a file", ["env: missing"], (at) => replace(`${at}/env`, "/etc/passwd")],
    ["a directory for a file", ["env: missing"], (at) => makeDirectory(`${at}/env`)],
    ["a lost secret file", ["files/CERT: missing"], (at) => fs.unlinkSync(`${at}/files/CERT`)],
    ["no files at all", ["files: missing"], (at) => fs.rmSync(`${at}/files`, { recursive: true })],
    ["an open directory", ["mode or group"], (at) => fs.chmodSync(at, 0o755)],
    ["a user's link gone", ["env: not a link"], () => fs.unlinkSync(`${directory}/env`)],
    ["a user's link turned", ["env: not a link"], () => replace(`${directory}/env`, "/etc/passwd")],
    ["a directory for a link", ["env: not a link"], () => makeDirectory(`${directory}/env`)],
    ["no page", ["page:"], () => fs.unlinkSync(`${directory}/page`)],
    ["a page that lags", ["page:"], () => fs.writeFileSync(`${directory}/page`, Buffer.alloc(8))],
    ["a link for the page", ["page:"], () => replace(`${directory}/page`, "/etc/hostname")],
    ["a directory for the page", ["page:"], () => makeDirectory(`${directory}/page`)],
    ["no receipts", ["receipts:"], () => fs.unlinkSync(`${directory}/receipts`)],
    ["receipts cut off", ["receipts:"], () => fs.truncateSync(`${directory}/receipts`, 0)],
    ["receipts too long", ["receipts:"], () => fs.appendFileSync(`${directory}/receipts`, "x")],
    ["receipts not to be written", ["receipts:"], () => fs.chmodSync(`${directory}/receipts`, 0)],
    ["a directory for receipts", ["receipts:"], () => makeDirectory(`${directory}/receipts`)],
  ])("finds %s, and swapping the same set again repairs it", (_, damage, doDamage) => {
    doDamage(fs.realpathSync(join(directory, "..data")));
    const found = verdict(EXPECTED);
    expect(found).toMatchObject({ state: "damaged" });
    expect(found).toEqual({
      state: "damaged",
      damage: damage.map((text) => expect.stringContaining(text) as string),
    });
    files.swap(setOf(5n, { file: true }), agentOwner);
    expect(verdict(EXPECTED)).toEqual({ state: "whole" });
    expect(seenSet(directory)).toEqual(expectedSet(setOf(5n, { file: true })));
    const receipts = fs.lstatSync(join(directory, "receipts"));
    expect({ size: receipts.size, ...modeOf(join(directory, "receipts")) }).toEqual({
      ...{ size: 4096 * 64, mode: 0o600 },
      ...agentOwner,
    });
  });

  test("receipts that are whole stay the same file, with what processes wrote", () => {
    const fd = fs.openSync(join(directory, "receipts"), "r+");
    fs.writeSync(fd, "said", 640);
    fs.closeSync(fd);
    const { ino } = fs.lstatSync(join(directory, "receipts"));
    runDir.start().swap(setOf(6n), agentOwner);
    expect(fs.lstatSync(join(directory, "receipts")).ino).toBe(ino);
    expect(files.readReceipts(AGENT)?.toString("latin1", 640, 644)).toBe("said");
  });

  test.each<[string, (data: string) => void]>([
    ["no ..data", (data) => fs.unlinkSync(data)],
    ["a ..data that leads nowhere", (data) => replace(data, "..g5-nowhere")],
    ["a ..data that leads out", (data) => replace(data, "../../../../etc")],
    ["a directory for ..data", (data) => makeDirectory(data)],
    ["no manifest", (data) => fs.unlinkSync(join(fs.realpathSync(data), ".manifest"))],
    ["a garbled manifest", (data) => rewrite(join(fs.realpathSync(data), ".manifest"), '{"a":1}')],
  ])("calls a set with %s absent, and the next swap puts it right", (_, doDamage) => {
    doDamage(join(directory, "..data"));
    expect(verdict(EXPECTED)).toEqual({ state: "absent" });
    files.swap(setOf(5n), agentOwner);
    expect(verdict(EXPECTED)).toEqual({ state: "whole" });
  });

  test("under root a file that belongs to someone else is damage", () => {
    if (IS_ROOT) fs.chownSync(fs.realpathSync(join(directory, "env")), 1, 1);
    const damaged = { state: "damaged", damage: ["env: owner"] };
    expect(verdict(EXPECTED)).toEqual(IS_ROOT ? damaged : { state: "whole" });
  });

  test("a directory that vanished under the daemon is made again", () => {
    fs.rmSync(directory, { recursive: true });
    files.swap(setOf(6n), agentOwner);
    expect(seenSet(directory)).toEqual(expectedSet(setOf(6n)));
    fs.rmSync(runDir.agentsDirectory, { recursive: true });
    fs.mkdirSync(runDir.agentsDirectory, { mode: 0o711 });
    files.swap(setOf(7n), agentOwner);
    expect(seenSet(directory)).toEqual(expectedSet(setOf(7n)));
  });

  test("a set is known again by a daemon that was just started", () => {
    expect(runDir.start().inspect(AGENT, agentOwner)).toEqual({
      ...EXPECTED,
      omitted: [],
      damage: [],
    });
  });
});

describe("a sweep after a crash", () => {
  test("removes agents that nobody knows, half-written generations and temporary links", () => {
    files.swap(setOf(1n), agentOwner);
    files.swap(setOf(2n), agentOwner);
    files.swap(render(envSetOf(["x"], { agentId: "gone" }), { directory: "/x" }), agentOwner);
    fs.mkdirSync(join(directory, "..g1-halfdone"));
    fs.mkdirSync(join(directory, "..g3-notyet/files"), { recursive: true });
    fs.writeFileSync(join(directory, "..g3-notyet/files/KEY"), "");
    fs.symlinkSync("..g3-notyet", join(directory, "..tmp-1234"));
    const result = runDir.start().sweep(new Set([AGENT]));
    expect(result.removedAgents).toEqual(["gone"]);
    expect(result.removedLeftovers.sort()).toEqual(
      ["..g1-halfdone", "..g3-notyet", "..tmp-1234"].map((name) => `${AGENT}/${name}`),
    );
    expect(generationNames(directory)).toHaveLength(2);
    expect(seenSet(directory)).toEqual(expectedSet(setOf(2n)));
  });

  test("writes a page that a crash left behind its generation", () => {
    files.swap(setOf(9n), agentOwner);
    fs.writeFileSync(join(directory, "page"), Buffer.alloc(8));
    runDir.start().sweep(new Set([AGENT]));
    expect(fs.readFileSync(join(directory, "page")).readBigUInt64LE()).toBe(9n);
  });

  test("goes on to the others when one cannot be looked at, and says so", () => {
    files.swap(setOf(1n), agentOwner);
    fs.chmodSync(directory, 0o777);
    fs.writeFileSync(join(runDir.agentsDirectory, "stray"), "");
    const result = runDir.start().sweep(new Set([AGENT]));
    expect(result.removedAgents).toEqual(["stray"]);
    expect(result.failures).toEqual([expect.stringMatching(/^agent-1: .*mode 0777$/)]);
  });
});

function verdict(expected: { generation: bigint; fingerprint: string }) {
  return files.verify(AGENT, agentOwner, expected);
}

function setOf(
  generation: bigint,
  more: { docker?: boolean; file?: boolean; unset?: string[] } = {},
): RenderedSet {
  const base = envSetOf([`value of ${generation}`], { agentId: AGENT, generation });
  const value = sensitive(Buffer.from(`cert ${generation}`));
  const cert = { name: "CERT", value, delivery: "file" as const };
  const variables = more.file ? [...base.variables, cert] : base.variables;
  const set = { ...base, variables, unset: more.unset ?? [] };
  // A key of its own makes two renderings of one set the same.
  const history = { generation: 0n, key: Buffer.alloc(16), entries: [] };
  return render(set, { directory: "/run/a", docker: more.docker ?? false, history });
}

function modeOf(path: string): { mode: number; uid: number; gid: number } {
  const { mode, uid, gid } = fs.lstatSync(path);
  return { mode: mode & 0o7777, uid, gid };
}

function rewrite(path: string, content: string): void {
  const length = fs.statSync(path).size;
  fs.chmodSync(path, 0o600);
  fs.writeFileSync(path, content.padEnd(length).slice(0, length));
  fs.chmodSync(path, 0o400);
}

function resize(path: string, byBytes: number): void {
  fs.chmodSync(path, 0o600);
  fs.truncateSync(path, fs.statSync(path).size + byBytes);
  fs.chmodSync(path, 0o400);
}

function replace(path: string, target: string): void {
  fs.unlinkSync(path);
  fs.symlinkSync(target, path);
}

function makeDirectory(path: string): void {
  fs.unlinkSync(path);
  fs.mkdirSync(join(path, "x"), { recursive: true });
}
