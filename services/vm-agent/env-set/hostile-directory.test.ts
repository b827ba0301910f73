import * as fs from "node:fs";
import { join } from "node:path";
import { agentOwner, createTestRunDir, type TestRunDir } from "../../../test/harness/env-files";
import { envSetOf } from "../../../test/harness/env-sets";
import { createEnvFiles } from "./env-files";
import { render } from "./render";
import { type SyncFs } from "./sync-fs";

const AGENT = "agent-1";
const UID = process.geteuid?.() ?? 0;

let runDir: TestRunDir;
/** A directory of the daemon's own that nobody should be able to make it write in. */
let victim: string;

beforeEach(() => {
  runDir = createTestRunDir();
  victim = join(runDir.base, "victim");
  fs.mkdirSync(victim, { mode: 0o700 });
});

afterEach(() => {
  const planted = fs.readdirSync(victim);
  runDir.remove();
  expect(planted).toEqual([]);
});

test("an agent's directory that is a link is refused, for writing, reading and removing", () => {
  fs.symlinkSync(victim, join(runDir.agentsDirectory, AGENT));
  const files = runDir.start();
  expect(() => files.swap(setOf(1n), agentOwner)).toThrow(/not a directory of ours/);
  expect(() => files.inspect(AGENT, agentOwner)).toThrow(/not a directory of ours/);
  expect(() => files.readCurrent(AGENT)).toThrow(/not a directory of ours/);
  fs.writeFileSync(join(victim, "keep"), "");
  files.remove(AGENT);
  files.sweep(new Set());
  expect(fs.readdirSync(victim)).toEqual(["keep"]);
  expect(fs.readdirSync(runDir.agentsDirectory)).toEqual([]);
  fs.unlinkSync(join(victim, "keep"));
});

test("a directory that others may write in is refused", () => {
  fs.mkdirSync(join(runDir.agentsDirectory, AGENT));
  fs.chmodSync(join(runDir.agentsDirectory, AGENT), 0o770);
  expect(() => runDir.start().swap(setOf(1n), agentOwner)).toThrow(/mode 0770/);
  fs.chmodSync(runDir.agentsDirectory, 0o777);
  expect(() => runDir.start().swap(setOf(1n), agentOwner)).toThrow(/mode 0777/);
});

test("a directory of another user is refused", () => {
  const files = createEnvFiles({ agentsDirectory: runDir.agentsDirectory, uid: UID + 1 });
  expect(() => files.swap(setOf(1n), agentOwner)).toThrow(/belongs to user/);
  files.close();
});

test.each(["..", ".", "a/b", "../../etc", "", "a\0b", ".hidden"])(
  "the agent id %j leads nowhere",
  (agentId) => {
    const files = runDir.start();
    expect(() => {
      files.remove(agentId);
    }).toThrow(/bad agent id/);
    expect(() => files.prune(agentId)).toThrow(/bad agent id/);
    expect(() => files.readCurrent(agentId)).toThrow(/bad agent id/);
  },
);

test("a link that waits under the name of the next generation, or of its files, is not followed", () => {
  const files = createEnvFiles({
    agentsDirectory: runDir.agentsDirectory,
    uid: UID,
    suffix: () => "guessed",
  });
  const directory = join(runDir.agentsDirectory, AGENT);
  fs.mkdirSync(directory);
  for (const name of ["..g1-guessed", "..tmp-guessed"]) {
    fs.symlinkSync(join(victim, "planted"), join(directory, name));
    expect(() => files.swap(setOf(1n), agentOwner)).toThrow(/EEXIST/);
    fs.rmSync(join(directory, name), { force: true });
  }
  files.swap(setOf(1n), agentOwner);
  files.close();
});

test("whatever is renamed or linked between any two calls, nothing is written outside", () => {
  const calls = countCalls();
  for (let at = 0; at < calls; at++) {
    for (const what of ["agents", AGENT]) withRace(at, what);
  }
});

/** Swaps while, before the call number `at`, a path becomes a link to the victim. */
function withRace(at: number, what: string): void {
  const base = fs.mkdtempSync(join(runDir.base, "race-"));
  const agentsDirectory = join(base, "agents");
  fs.mkdirSync(agentsDirectory, { mode: 0o711 });
  const target = what === "agents" ? agentsDirectory : join(agentsDirectory, AGENT);
  let calls = 0;
  const racing = intercept(() => {
    if (calls++ !== at || !fs.existsSync(target)) return;
    fs.renameSync(target, `${target}.moved`);
    fs.symlinkSync(victim, target);
  });
  const files = createEnvFiles({ agentsDirectory, uid: UID, fs: racing });
  try {
    files.swap(setOf(1n), agentOwner);
    files.swap(setOf(2n), agentOwner);
    files.prune(AGENT);
    files.remove(AGENT);
  } catch (error) {
    expect(error).toMatchObject({ name: "EnvSetError" });
  } finally {
    files.close();
    fs.rmSync(base, { recursive: true });
  }
  expect(fs.readdirSync(victim)).toEqual([]);
}

function countCalls(): number {
  let calls = 0;
  const files = runDir.start(intercept(() => calls++));
  files.swap(setOf(1n), agentOwner);
  files.swap(setOf(2n), agentOwner);
  files.prune(AGENT);
  files.remove(AGENT);
  return calls;
}

function intercept(before: () => unknown): SyncFs {
  return new Proxy(fs, {
    get(target, name) {
      const real = Reflect.get(target, name) as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        before();
        return real(...args);
      };
    },
  });
}

function setOf(generation: bigint) {
  return render(envSetOf(["x"], { agentId: AGENT, generation }), { directory: "/run/a" });
}
