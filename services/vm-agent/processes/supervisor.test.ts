import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/harness/eventually";
import { isAlive, readProcess } from "../linux/proc";
import { type AgentState } from "./agent";
import { createTestVm, type TestVm } from "./test-vm";

const NOW = { graceMs: 0, killMs: 10_000 };

let vm: TestVm;
beforeEach(() => (vm = createTestVm()));
afterEach(() => vm.close());

test.each([
  ["exit 0", "completed", { kind: "code", code: 0 }],
  ["exit 3", "failed", { kind: "code", code: 3 }],
  ["kill -9 $$", "failed", { kind: "signal", signal: "SIGKILL" }],
  ["kill -TERM $$", "failed", { kind: "signal", signal: "SIGTERM" }],
  ["kill -INT $$", "failed", { kind: "signal", signal: "SIGINT" }],
  ["exit 137", "failed", { kind: "code", code: 137 }],
  ["exit 255", "failed", { kind: "code", code: 255 }],
])("an agent that does `%s` is %s", async (script, phase, exit) => {
  const supervisor = vm.supervisor();
  await supervisor.spawn(vm.request({ argv: ["sh", "-c", script] }));
  await eventually(() => expect(supervisor.list()).toMatchObject([{ phase, exit }]));
});

test("pid and start time are those of the agent's own command", async () => {
  const supervisor = vm.supervisor();
  const state = await supervisor.spawn(vm.request({ argv: ["sleep", "1000"] }));
  expect(state.phase).toBe("running");
  await eventually(() => expect(readProcess(state.main!.pid)?.name).toBe("sleep"));
  expect(isAlive(state.main!)).toBe(true);
  expect(readProcess(state.main!.pid)?.session).toBe(state.main!.pid);
});

test("the environment is the file's, on top of a minimal one", async () => {
  const supervisor = vm.supervisor({
    inheritedEnv: {
      ...process.env,
      MURMUR_TOKEN: "daemon-secret",
      AWS_SECRET: "x",
      LANG: "C.UTF-8",
    },
  });
  const request = vm.request({ argv: ["env", "-0"] }, "export TOKEN='a b\n$x'\nunset GONE\n");
  await supervisor.spawn(request);
  await eventually(() => expect(supervisor.get(request.agentId)?.phase).toBe("completed"));
  const entries = readFileSync(vm.output(request.agentId), "utf8").split("\0").filter(Boolean);
  const names = entries.map((entry) => entry.slice(0, entry.indexOf("="))).sort();
  expect(entries).toContain("TOKEN=a b\n$x");
  expect(entries).toContain(`MURMUR_SOCKET=${vm.socketPath}`);
  expect(names).toEqual(
    expect.arrayContaining(["HOME", "LANG", "MURMUR_DIR", "MURMUR_SOCKET", "PATH", "TOKEN"]),
  );
  expect(names.filter((name) => /SECRET|MURMUR_TOKEN|OLDPWD/.test(name))).toEqual([]);
});

test("an id is never used twice: the second spawn gives the state of the first", async () => {
  const supervisor = vm.supervisor();
  const request = vm.request({ argv: ["sleep", "1000"] });
  const [first, second] = await Promise.all([supervisor.spawn(request), supervisor.spawn(request)]);
  const third = await supervisor.spawn({ ...request, argv: ["true"] });
  expect([second.main, third.main]).toEqual([first.main, first.main]);
});

test("every change of phase is told once, and a listener that throws harms nobody", async () => {
  const supervisor = vm.supervisor();
  const told: AgentState[] = [];
  supervisor.onChange(() => {
    throw new Error("a bug");
  });
  const unsubscribe = supervisor.onChange((state) => told.push(state));
  const script = "until [ -e go ]; do sleep 0.02; done";
  const { agentId } = await supervisor.spawn(
    vm.request({ argv: ["sh", "-c", script], cwd: vm.directory }),
  );
  writeFileSync(join(vm.directory, "go"), "");
  await eventually(() => expect(supervisor.get(agentId)?.phase).toBe("completed"));
  expect(told.map(({ phase }) => phase)).toEqual(["running", "completed"]);
  unsubscribe();
  await supervisor.spawn(vm.request({ argv: ["true"] }));
  expect(told).toHaveLength(2);
});

test("an end is told at once, not at the next sweep", async () => {
  const supervisor = vm.supervisor({ sweepEveryMs: 1_000_000 });
  const { main, agentId } = await supervisor.spawn(vm.request({ argv: ["sleep", "1000"] }));
  const told = new Promise((resolve) => supervisor.onChange(resolve));
  process.kill(main!.pid, "SIGKILL");
  // The sweep would come long after the end of this test's time.
  expect(await told).toMatchObject({ agentId, phase: "failed" });
});

test("the end of an agent that an earlier daemon started is told at once too", async () => {
  const first = vm.supervisor();
  const { main, agentId } = await first.spawn(vm.request({ argv: ["sleep", "1000"] }));
  await first.stop();
  const second = vm.supervisor({ sweepEveryMs: 1_000_000 });
  expect(second.get(agentId)).toMatchObject({ phase: "running", main });
  const told = new Promise((resolve) => second.onChange(resolve));
  process.kill(main!.pid, "SIGTERM");
  expect(await told).toMatchObject({ agentId, exit: { kind: "signal", signal: "SIGTERM" } });
});

describe("a shim that was killed from outside", () => {
  const killShim = async (pid: number): Promise<void> => {
    const shim = readProcess(pid)!.parentPid;
    process.kill(shim, "SIGKILL");
    await eventually(() => expect(readProcess(pid)?.parentPid).not.toBe(shim));
  };

  test("leaves its agent running, known, and able to be ended", async () => {
    const supervisor = vm.supervisor({ sweepEveryMs: 20 });
    const { main, agentId } = await supervisor.spawn(vm.request({ argv: ["sleep", "1000"] }));
    await killShim(main!.pid);
    expect(supervisor.get(agentId)?.phase).toBe("running");
    expect(supervisor.processes(agentId)).toHaveLength(1);
    expect(supervisor.agentOf(main!)).toBe(agentId);
    const { state } = await supervisor.kill(agentId, NOW);
    expect(state).toMatchObject({ phase: "cancelled", exit: { kind: "lost", why: "vanished" } });
  });

  test("leaves an agent whose end nobody sees, and which is failed then", async () => {
    const supervisor = vm.supervisor({ sweepEveryMs: 20 });
    const { main, agentId } = await supervisor.spawn(vm.request({ argv: ["sleep", "1000"] }));
    await killShim(main!.pid);
    process.kill(main!.pid, "SIGKILL");
    await eventually(() => expect(supervisor.get(agentId)?.phase).toBe("failed"));
    expect(supervisor.get(agentId)?.exit).toEqual({ kind: "lost", why: "vanished" });
  });
});

test("signals to the shim neither end it nor lose the status", async () => {
  const supervisor = vm.supervisor();
  const { main, agentId } = await supervisor.spawn(
    vm.request({
      argv: ["sh", "-c", "until [ -e go ]; do sleep 0.02; done; exit 5"],
      cwd: vm.directory,
    }),
  );
  const shim = readProcess(main!.pid)!.parentPid;
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT", "SIGPIPE", "SIGUSR1", "SIGQUIT"] as const) {
    process.kill(shim, signal);
  }
  writeFileSync(join(vm.directory, "go"), "");
  await eventually(() => expect(supervisor.get(agentId)?.exit).toEqual({ kind: "code", code: 5 }));
});

test("an agent that signals its whole group does not hit its shim", async () => {
  const supervisor = vm.supervisor();
  const { agentId } = await supervisor.spawn(vm.request({ argv: ["sh", "-c", "kill -9 0"] }));
  await eventually(() =>
    expect(supervisor.get(agentId)?.exit).toEqual({ kind: "signal", signal: "SIGKILL" }),
  );
});

test("a start that was never begun is taken back, and may be asked for again", async () => {
  const first = vm.supervisor();
  const request = vm.request({ argv: ["sleep", "1000"] });
  await first.spawn(request);
  await first.kill(request.agentId, NOW);
  await first.stop();
  // As if the daemon had been killed right before it started the shim.
  for (const mark of ["started", "exit"])
    rmSync(join(vm.stateDir, "events", `${request.agentId}.${mark}`));
  for (const mark of ["claim", "cancelled"])
    rmSync(join(vm.stateDir, "agents", request.agentId, mark));
  const second = vm.supervisor();
  expect(second.list()).toEqual([]);
  expect((await second.spawn(request)).phase).toBe("running");
});

test("damaged records are removed, and the others still work", async () => {
  const first = vm.supervisor();
  const { agentId } = await first.spawn(vm.request({ argv: ["sleep", "1000"] }));
  await first.stop();
  mkdirSync(join(vm.stateDir, "agents", "empty"));
  mkdirSync(join(vm.stateDir, "agents", "torn"));
  writeFileSync(join(vm.stateDir, "agents", "torn", "agent.json"), '{"agentId": "to');
  const second = vm.supervisor();
  expect(second.list().map((state) => state.agentId)).toEqual([agentId]);
});

test("an agent that is over is forgotten for good, a living one is not", async () => {
  const supervisor = vm.supervisor();
  const { agentId } = await supervisor.spawn(vm.request({ argv: ["sleep", "1000"] }));
  expect(supervisor.forget(agentId)).toBe(false);
  await supervisor.kill(agentId, NOW);
  expect(supervisor.forget(agentId)).toBe(true);
  expect(supervisor.forget(agentId)).toBe(true);
  expect(vm.supervisor().list()).toEqual([]);
  await expect(supervisor.kill(agentId)).rejects.toMatchObject({ code: "NOT_FOUND" });
});
