import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/harness/eventually";
import { type Cgroup, findCgroupParent } from "../linux/cgroup";
import { readProcess, readProcessTable } from "../linux/proc";
import { type Supervisor } from "./supervisor";
import { createTestVm, type TestVm } from "./test-vm";

const QUICK = { graceMs: 300, killMs: 15_000 };
const cgroupParent = findCgroupParent();

let vm: TestVm;
beforeEach(() => (vm = createTestVm()));
afterEach(() => vm.close());

/** Runs a script whose every process notes its pid with `note`; waits until so many did. */
async function startTree(
  supervisor: Supervisor,
  script: string,
  count: number,
): Promise<{ agentId: string; pids: number[] }> {
  const pidFile = join(vm.directory, "pids");
  const note = `note() { sh -c 'echo $PPID' >>${pidFile}; }\n`;
  const { agentId } = await supervisor.spawn(vm.request({ argv: ["sh", "-c", note + script] }));
  const pids = await eventually(() => {
    const noted = readFileSync(pidFile, "utf8").trim().split("\n").map(Number);
    expect(noted).toHaveLength(count);
    return noted;
  });
  return { agentId, pids };
}

function stillThere(pids: number[]): number[] {
  return pids.filter((pid) => {
    const state = readProcess(pid)?.state;
    return state !== undefined && state !== "Z";
  });
}

/** What was killed may take a moment more to become a zombie: what was missed goes on for ever. */
const gone = (pids: number[]) => eventually(() => expect(stillThere(pids)).toEqual([]));

const TREES: [string, string, number][] = [
  [
    "its children and grandchildren",
    "note; (note; (note; sleep 1000) & sleep 1000) & sleep 1000",
    3,
  ],
  [
    "a child in a session of its own",
    "note; setsid sh -c 'echo $$ >>'\"$PIDS\"'; sleep 1000' & wait",
    2,
  ],
  ["an orphan", "note; ( (note; sleep 1000) & ); sleep 1000", 2],
  [
    "an orphan in a session of its own",
    "note; setsid -f sh -c 'echo $$ >>\"$PIDS\"; exec sleep 1000'; sleep 1000",
    2,
  ],
  [
    "processes that ignore SIGTERM",
    "note; (trap '' TERM; note; while :; do sleep 1; done) & trap '' TERM; while :; do sleep 1; done",
    2,
  ],
  ["stopped processes", "note; (note; kill -STOP $(sh -c 'echo $PPID'); sleep 1000) & wait", 2],
  [
    "processes that fork as they are ended",
    "note; f() { trap f TERM; sleep 1000 & sleep 1000 & wait; }; f; f; f; sleep 1000",
    1,
  ],
];

const GROUPS: [string, Cgroup | undefined][] = [["session and parents", undefined]];
if (cgroupParent) GROUPS.push(["control group", cgroupParent]);

describe.each(GROUPS)("by %s", (_, parent) => {
  test.each(TREES)("kill ends %s", async (_, script, count) => {
    const supervisor = vm.supervisor({ cgroupParent: parent });
    const exported = `export PIDS=${join(vm.directory, "pids")}\n`;
    const { agentId, pids } = await startTree(supervisor, exported + script, count);
    const { state, left } = await supervisor.kill(agentId, QUICK);
    expect(left).toEqual([]);
    await gone(pids);
    expect(state.phase).toBe("cancelled");
    // The shims take a moment more, to write the status.
    await eventually(() => expect(processesOf(vm)).toEqual([]));
    expect(parent && existsSync(join(parent.path, `murmur-${agentId}`))).not.toBe(true);
  });
});

/** Everything that was started with an environment of this VM. */
function processesOf({ directory }: TestVm): number[] {
  return [...readProcessTable().keys()].filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes(`MURMUR_DIR=${directory}`);
    } catch {
      return false;
    }
  });
}

const ofGroups = async (): Promise<void> => {
  const supervisor = vm.supervisor({ cgroupParent });
  const script = `note; env -i setsid -f sh -c 'echo $$ >>${vm.directory}/pids; exec sleep 1000'; sleep 1000`;
  const { agentId, pids } = await startTree(supervisor, script, 2);
  await supervisor.kill(agentId, QUICK);
  await gone(pids);
  expect(existsSync(join(cgroupParent!.path, `murmur-${agentId}`))).toBe(false);
};
// Only root, or a delegated group, can hold a process that wants to leave.
const GROUP_TEST = "kill ends an orphan that emptied its environment, by control group";
if (cgroupParent) test(GROUP_TEST, ofGroups);

test("what an agent leaves running when it ends is ended with it", async () => {
  const supervisor = vm.supervisor({ leftovers: QUICK });
  const { agentId, pids } = await startTree(
    supervisor,
    "note; (trap '' TERM; note; exec >/dev/null; while :; do sleep 1; done) & exit 0",
    2,
  );
  await eventually(() => expect(supervisor.get(agentId)?.phase).toBe("completed"));
  await gone(pids);
});

test("kill ends an orphan that goes on becoming another program, by its environment", async () => {
  const supervisor = vm.supervisor();
  const loop = join(vm.directory, "loop.sh");
  writeFileSync(loop, 'exec sh "$0"\n');
  // Each of them is a program without an environment for a moment, over and over.
  for (let round = 0; round < 20; round++) {
    const orphan = `trap "" TERM; echo $$ >>${vm.directory}/pids; exec sh ${loop}`;
    const script = `note; setsid -f sh -c '${orphan}'; sleep 1000`;
    const { agentId, pids } = await startTree(supervisor, script, 2);
    await supervisor.kill(agentId, { ...QUICK, graceMs: 20 });
    await gone(pids);
    rmSync(join(vm.directory, "pids"));
  }
}, 60_000);

test("kill of an agent that is over changes nothing", async () => {
  const supervisor = vm.supervisor();
  const { agentId } = await supervisor.spawn(vm.request({ argv: ["true"] }));
  await eventually(() => expect(supervisor.get(agentId)?.phase).toBe("completed"));
  expect((await supervisor.kill(agentId)).state.phase).toBe("completed");
});

test("kill leaves other agents alone", async () => {
  const supervisor = vm.supervisor();
  const one = await supervisor.spawn(vm.request({ argv: ["sleep", "1000"] }));
  const other = await supervisor.spawn(vm.request({ argv: ["sleep", "1000"] }));
  await supervisor.kill(one.agentId, QUICK);
  expect(supervisor.get(other.agentId)?.phase).toBe("running");
  expect(supervisor.processes(other.agentId)).toHaveLength(1);
});
