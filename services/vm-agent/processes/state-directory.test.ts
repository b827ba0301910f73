import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { eventually } from "../../../test/harness/eventually";
import { readProcess } from "../linux/proc";
import { formatRecord, parseRecord, type AgentRecord } from "./agent-record";
import { StateDirectory } from "./state-directory";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "murmur-state-"));
  path = join(directory, "state");
});
afterEach(() => rmSync(directory, { recursive: true }));

const recordOf = (agentId: string): AgentRecord => ({
  ...{ agentId, bootId: "b", envDir: "/run/a", createdAt: new Date(5) },
  user: { uid: 1, gid: 2, groups: [3] },
});

describe("a shim that comes late", () => {
  const agentId = "late";
  let state: StateDirectory;
  let shim: ChildProcess;
  const ran = (): boolean => existsSync(join(directory, "ran"));

  /** A shim that stands still right before its first step, or after its claim. */
  const startStopped = async (): Promise<void> => {
    state = new StateDirectory(path);
    state.create(recordOf(agentId));
    const script = 'kill -STOP $$; exec sh "$@"';
    const command = ["touch", join(directory, "ran")];
    const args = ["-c", script, "sh", state.shimPath, agentId, state.events, "", ...command];
    shim = spawn("sh", args, { cwd: state.pathOf(agentId) });
    await eventually(() => expect(readProcess(shim.pid!)?.state).toBe("T"));
  };
  const goOn = async (): Promise<void> => {
    const ended = once(shim, "exit");
    shim.kill("SIGCONT");
    await ended;
  };

  test("starts nothing once its start was taken back", async () => {
    await startStopped();
    expect(state.removeUnclaimed(agentId)).toBe(true);
    await goOn();
    expect(ran()).toBe(false);
    expect(state.list()).toEqual([]);
  });

  test("starts nothing in the place of the same agent's next start", async () => {
    await startStopped();
    state.removeUnclaimed(agentId);
    state.create(recordOf(agentId));
    await goOn();
    expect(ran()).toBe(false);
    expect(state.readMarks(agentId)).toEqual({ isClaimed: false, isCancelled: false });
  });

  test("is left alone once it has begun", async () => {
    await startStopped();
    await goOn();
    expect(ran()).toBe(true);
    expect(state.removeUnclaimed(agentId)).toBe(false);
    expect(state.readMarks(agentId)).toMatchObject({ exit: { kind: "code", code: 0 } });
  });

  test("is left alone although the daemon was killed while it took the start back", async () => {
    await startStopped();
    await goOn();
    renameSync(state.pathOf(agentId), join(path, "agents", `.${agentId}`));
    mkdirSync(join(path, "agents", ".gone"));
    const next = new StateDirectory(path);
    expect(next.list()).toEqual([agentId]);
    expect(existsSync(join(path, "agents", ".gone"))).toBe(false);
  });
});

test("a directory that others could change is refused", () => {
  mkdirSync(path);
  chmodSync(path, 0o777);
  expect(() => new StateDirectory(path)).toThrow(/only the daemon's user can change/);
  rmSync(path, { recursive: true });
  mkdirSync(join(directory, "elsewhere"));
  symlinkSync(join(directory, "elsewhere"), path);
  expect(() => new StateDirectory(path)).toThrow(/only the daemon's user can change/);
});

test("a link in the place of a file is not followed", () => {
  const state = new StateDirectory(path);
  state.create(recordOf("a"));
  writeFileSync(join(directory, "victim"), "mine");
  symlinkSync(join(directory, "victim"), state.pathOf("a", "output.log"));
  expect(() => state.openLog(recordOf("a"))).toThrow(/EEXIST/);
});

test("a record is read back as it was written, and anything else is no record", () => {
  const record = { ...recordOf("a"), cgroup: { path: "/sys/fs/cgroup/x", name: "/x" } };
  expect(parseRecord(formatRecord(record))).toEqual(record);
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      expect(parseRecord(text)).toBeUndefined();
    }),
  );
});
