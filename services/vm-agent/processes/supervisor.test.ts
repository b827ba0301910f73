import { readFileSync } from "node:fs";
import { eventually } from "../../../test/harness/eventually";
import { isAlive, readProcess } from "../linux/proc";
import { createTestVm, type TestVm } from "./test-vm";

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
