import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type AgentSettings,
  type Reload,
  ReloadOutcome,
  ReloadTarget,
} from "../../../gen/murmur/rotation/v1/agents";
import { systemClock } from "../../../lib/clock";
import { createLog } from "../../../lib/log";
import { sensitive } from "../../../lib/sensitive";
import { eventually } from "../../../test/harness/eventually";
import { isAlive } from "../linux/proc";
import { agentEnvironment } from "../processes/agent-environment";
import { type Supervisor } from "../processes/supervisor";
import { createTestVm, type TestVm } from "../processes/test-vm";
import { ReloadLedger } from "./reload-ledger";
import { Reloader } from "./reloader";

const { RELOAD_OUTCOME_DONE: DONE, RELOAD_OUTCOME_FAILED: FAILED } = ReloadOutcome;
const { RELOAD_OUTCOME_RUNNING: RUNNING } = ReloadOutcome;

let vm: TestVm;
let supervisor: Supervisor;
let reloaders: Reloader[];
let lines: string[];
/** The generation in force, by agent, and what was wished. */
let generations: Map<string, bigint>;
let settings: Map<string, AgentSettings>;

beforeEach(() => {
  vm = createTestVm();
  supervisor = vm.supervisor();
  reloaders = [];
  lines = [];
  generations = new Map();
  settings = new Map();
});
afterEach(async () => {
  for (const each of reloaders) await each.stop();
  await vm.close();
});

function daemon(): Reloader {
  const made = new Reloader({
    ledger: new ReloadLedger(join(vm.directory, "reloads")),
    stateOf: (agentId) => supervisor.get(agentId),
    processesOf: (agentId) => supervisor.processes(agentId),
    launchOf: (agentId) => ({ workingDirectory: vm.directory, settings: settings.get(agentId) }),
    generationOf: (agentId) => generations.get(agentId),
    valuesOf: () => [sensitive(Buffer.from("tok-secret"))],
    onSwap: () => () => undefined,
    environmentOf: ({ envDir, user }) =>
      Promise.resolve(
        agentEnvironment({ inherited: process.env, socketPath: vm.socketPath, envDir, user }),
      ),
    clock: systemClock,
    log: createLog("test", "info", { write: (line) => lines.push(line) }),
  });
  reloaders.push(made);
  return made;
}

const wish = (reload: Partial<Reload>): AgentSettings => ({
  reload: {
    how: undefined,
    target: ReloadTarget.RELOAD_TARGET_UNSPECIFIED,
    timeoutMs: 0,
    ...reload,
  },
  ...{ childReload: undefined, layersOff: [], git: [], docker: [] },
});
const hook = (script: string, timeoutMs = 0): AgentSettings =>
  wish({ how: { $case: "hook", value: { argv: ["sh", "-c", script] } }, timeoutMs });

/** A running agent with these settings, on generation 1. */
async function agent(wished: AgentSettings, script = "exec sleep 1000"): Promise<string> {
  const request = vm.request({ argv: ["sh", "-c", script] }, "export TOKEN='tok-secret'\n");
  settings.set(request.agentId, wished);
  generations.set(request.agentId, 1n);
  await supervisor.spawn(request);
  return request.agentId;
}

/** What a swap that changes the environment does. */
function swap(reloader: Reloader, agentId: string, generation: bigint): void {
  reloader.expect(agentId, generation);
  generations.set(agentId, generation);
  reloader.look(agentId);
}

const ended = (reloader: Reloader, agentId: string, generation: bigint) =>
  eventually(() => {
    const result = reloader.resultOf(agentId);
    expect(result).toMatchObject({ generation });
    expect(result?.outcome).not.toBe(RUNNING);
    return result!;
  });
const fileOf = (name: string) => join(vm.directory, name);
const runs = (name = "runs") =>
  existsSync(fileOf(name)) ? readFileSync(fileOf(name), "utf8").trim().split("\n") : [];

test("a hook runs in the agent's directory and environment, and what it says is logged without values", async () => {
  const reloader = daemon();
  const agentId = await agent(
    hook('echo "$TOKEN $PWD" >runs; echo "said $TOKEN"; echo >&2 "$TOKEN"'),
  );
  swap(reloader, agentId, 2n);
  expect(await ended(reloader, agentId, 2n)).toMatchObject({ outcome: DONE, reason: "" });
  expect(runs()).toEqual([`tok-secret ${vm.directory}`]);
  expect(lines.join("")).toContain("said [redacted]\\n");
  expect(lines.join("")).not.toContain("tok-secret");
});

test("a hook runs once for a generation, and not where nothing changed", async () => {
  const reloader = daemon();
  const agentId = await agent(hook("echo x >>runs"));
  reloader.look(agentId);
  expect(reloader.resultOf(agentId)).toBeUndefined();
  swap(reloader, agentId, 2n);
  await ended(reloader, agentId, 2n);
  generations.set(agentId, 3n);
  reloader.look(agentId);
  reloader.look(agentId);
  swap(reloader, agentId, 4n);
  await ended(reloader, agentId, 4n);
  expect(runs()).toEqual(["x", "x"]);
});

test("swaps that pass while a hook runs are told by one run, for the newest, and nobody else waits", async () => {
  const reloader = daemon();
  const slow = await agent(hook("echo x >>runs; while [ ! -e go ]; do sleep 0.01; done"));
  const other = await agent(hook("echo y >>others"));
  swap(reloader, slow, 2n);
  await eventually(() => expect(runs()).toHaveLength(1));
  for (const generation of [3n, 4n, 5n]) swap(reloader, slow, generation);
  swap(reloader, other, 2n);
  expect(await ended(reloader, other, 2n)).toMatchObject({ outcome: DONE });
  // Whoever waits for the newest is not told that there is nothing to wait for.
  expect(reloader.resultOf(slow)).toMatchObject({ generation: 5n, outcome: RUNNING });
  writeFileSync(fileOf("go"), "");
  await ended(reloader, slow, 5n);
  expect(runs()).toEqual(["x", "x"]);
});

test.each([
  ["fails", "exit 3", "hook: exit 3"],
  ["is not there", "exec ./no-such-hook", "hook: exit 127"],
  ["kills its parent", "kill -9 $PPID; exec sleep 1000", /^hook: ended by SIGKILL$|^hook: exit/],
])("a hook that %s is reported, and the next one runs", async (_, script, reason) => {
  const reloader = daemon();
  const agentId = await agent(hook(script));
  swap(reloader, agentId, 2n);
  const result = await ended(reloader, agentId, 2n);
  expect(result.outcome).toBe(FAILED);
  expect(result.reason).toMatch(reason);
  settings.set(agentId, hook("echo x >>runs"));
  swap(reloader, agentId, 3n);
  expect(await ended(reloader, agentId, 3n)).toMatchObject({ outcome: DONE });
});

test("a hook that hangs, deaf to SIGTERM, is ended with its whole group at its deadline", async () => {
  const reloader = daemon();
  const script =
    "trap '' TERM; sh -c \"trap '' TERM; echo \\$\\$ >>runs; while :; do sleep 0.1; done\" & wait";
  const agentId = await agent(hook(`${script}; while :; do sleep 0.1; done`, 500));
  swap(reloader, agentId, 2n);
  const { reason } = await ended(reloader, agentId, 2n);
  expect(reason).toBe("hook: timed out after 0.5 s");
  const pid = Number(runs()[0]);
  await eventually(() => expect(existsSync(`/proc/${pid}/environ`) && isRunning(pid)).toBe(false));
});

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("a flood of output is cut, and its hook ends in its own time", async () => {
  const reloader = daemon();
  const agentId = await agent(hook("head -c 2000000 /dev/zero | tr '\\0' x; exit 4"));
  swap(reloader, agentId, 2n);
  expect(await ended(reloader, agentId, 2n)).toMatchObject({ reason: "hook: exit 4" });
  const line = lines.find((each) => each.includes("reload hook failed"))!;
  expect(JSON.parse(line)).toMatchObject({ isCut: true });
  expect(line.length).toBeLessThan(70_000);
});

test("a hook that the daemon's end interrupted runs again, after what is left of it was ended", async () => {
  const first = daemon();
  const agentId = await agent(hook("echo $$ >>runs; while [ ! -e go ]; do sleep 0.01; done"));
  swap(first, agentId, 2n);
  await eventually(() => expect(runs()).toHaveLength(1));
  // As after a kill: nobody has ended the hook, and the file is all that is known of it.
  const hookOf = () => new ReloadLedger(join(vm.directory, "reloads")).get(agentId)?.hook;
  const left = hookOf()!;
  expect(isAlive(left)).toBe(true);
  const second = daemon();
  second.look(agentId);
  await eventually(() => expect(runs()).toHaveLength(2));
  await eventually(() => expect(isAlive(left)).toBe(false));
  writeFileSync(fileOf("go"), "");
  expect(await ended(second, agentId, 2n)).toMatchObject({ outcome: DONE });
  // The first one, still there in this test, has seen its hook ended.
  await eventually(() => expect(first.resultOf(agentId)?.outcome).toBe(FAILED));
});

test("a daemon that stops ends its hooks and leaves them to the next", async () => {
  const first = daemon();
  const agentId = await agent(hook("echo x >>runs; [ -e go ] || exec sleep 1000"));
  swap(first, agentId, 2n);
  await eventually(() => expect(runs()).toHaveLength(1));
  await first.stop();
  writeFileSync(fileOf("go"), "");
  const second = daemon();
  second.look(agentId);
  expect(await ended(second, agentId, 2n)).toMatchObject({ outcome: DONE });
  expect(runs()).toEqual(["x", "x"]);
});

test("a process of a hook that runs is known as its agent's", async () => {
  const reloader = daemon();
  const agentId = await agent(hook("echo $$ >>runs; while [ ! -e go ]; do sleep 0.01; done"));
  swap(reloader, agentId, 2n);
  const pid = await eventually(() => {
    expect(Number(runs()[0])).toBeGreaterThan(1);
    return Number(runs()[0]);
  });
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const startTime = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  expect(reloader.agentOf({ pid, startTime })).toBe(agentId);
  expect(reloader.agentOf({ pid: process.pid, startTime })).toBeUndefined();
  writeFileSync(fileOf("go"), "");
  await ended(reloader, agentId, 2n);
});

describe("a signal", () => {
  const hup = (target = ReloadTarget.RELOAD_TARGET_PROCESS) =>
    wish({ how: { $case: "signal", value: "SIGHUP" }, target });
  const HANDLER = `trap 'echo hup >>$DIR/runs' HUP; echo up >>$DIR/up; while :; do sleep 0.05; done`;
  const ready = async (wished: AgentSettings, script: string) => {
    const agentId = await agent(wished, `DIR='${vm.directory}'; export DIR; ${script}`);
    await eventually(() => expect(runs("up")).toHaveLength(1));
    return agentId;
  };

  test("reaches the agent's first process", async () => {
    const reloader = daemon();
    const agentId = await ready(hup(), HANDLER);
    swap(reloader, agentId, 2n);
    expect(await ended(reloader, agentId, 2n)).toMatchObject({ outcome: DONE });
    await eventually(() => expect(runs()).toEqual(["hup"]));
  });

  test("ends nobody who does not handle it", async () => {
    const reloader = daemon();
    const agentId = await ready(hup(), "echo up >>$DIR/up; sleep 1000 & wait");
    swap(reloader, agentId, 2n);
    expect(await ended(reloader, agentId, 2n)).toMatchObject({
      ...{ outcome: FAILED, reason: "signal: the agent's first process does not handle SIGHUP" },
    });
    expect(isAlive(supervisor.get(agentId)!.main!)).toBe(true);
  });

  test("reaches those of the group who handle it, and no others", async () => {
    const reloader = daemon();
    writeFileSync(fileOf("server.sh"), HANDLER);
    const agentId = await ready(
      hup(ReloadTarget.RELOAD_TARGET_GROUP),
      'sh "$DIR/server.sh" & sleep 1000 & wait',
    );
    swap(reloader, agentId, 2n);
    expect(await ended(reloader, agentId, 2n)).toMatchObject({ outcome: DONE });
    await eventually(() => expect(runs()).toEqual(["hup"]));
    expect(isAlive(supervisor.get(agentId)!.main!)).toBe(true);
  });
});
