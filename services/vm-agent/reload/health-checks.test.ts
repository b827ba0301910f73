import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type HealthCheck, HealthOutcome } from "../../../gen/murmur/rotation/v1/agents";
import { systemClock } from "../../../lib/clock";
import { createLog } from "../../../lib/log";
import { sensitive } from "../../../lib/sensitive";
import { eventually } from "../../../test/harness/eventually";
import { agentEnvironment } from "../processes/agent-environment";
import { type Supervisor } from "../processes/supervisor";
import { createTestVm, type TestVm } from "../processes/test-vm";
import { HealthChecks } from "./health-checks";

const { HEALTH_OUTCOME_PASSED: PASSED, HEALTH_OUTCOME_FAILED: FAILED } = HealthOutcome;

let vm: TestVm;
let supervisor: Supervisor;
let checks: HealthChecks;
let lines: string[];
let agentId: string;
/** What is wished, and the generation in force. */
let wished: HealthCheck | undefined;
let generation: bigint;

beforeEach(async () => {
  vm = createTestVm();
  supervisor = vm.supervisor();
  lines = [];
  wished = undefined;
  generation = 2n;
  checks = new HealthChecks({
    stateOf: (id) => supervisor.get(id),
    launchOf: () => ({ workingDirectory: vm.directory }),
    checkOf: () => wished,
    generationOf: () => generation,
    valuesOf: () => [sensitive(Buffer.from("tok-secret"))],
    onSwap: () => () => undefined,
    environmentOf: ({ envDir, user }) =>
      Promise.resolve(
        agentEnvironment({ inherited: process.env, socketPath: vm.socketPath, envDir, user }),
      ),
    clock: systemClock,
    log: createLog("test", "info", { write: (line) => lines.push(line) }),
  });
  const request = vm.request({ argv: ["sleep", "1000"] }, "export TOKEN='tok-secret'\n");
  ({ agentId } = request);
  await supervisor.spawn(request);
});
afterEach(async () => {
  await checks.stop();
  await vm.close();
});

const wish = (script: string, change: Partial<HealthCheck> = {}) => {
  const argv = ["sh", "-c", script];
  wished = { checkId: "one", argv, timeoutMs: 10_000, generation: 2n, ...change };
  checks.look(agentId);
};
const result = (checkId = "one") =>
  eventually(() => {
    const found = checks.resultOf(agentId);
    expect(found?.checkId).toBe(checkId);
    return found!;
  });
const runs = () => {
  const path = join(vm.directory, "runs");
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
};

test("a check runs in the agent's directory and environment, and what it says is logged without values", async () => {
  wish('echo "$TOKEN $PWD" >>runs; echo "said $TOKEN"');
  expect(await result()).toMatchObject({ outcome: PASSED, reason: "" });
  expect(runs()).toEqual([`tok-secret ${vm.directory}`]);
  expect(lines.join("")).toContain("said [redacted]\\n");
  expect(lines.join("")).not.toContain("tok-secret");
});

test.each([
  ["fails", "exit 3", {}, "health: exit 3"],
  ["is not there", "exec ./no-such", {}, "health: exit 127"],
  ["hangs", "exec sleep 1000", { timeoutMs: 300 }, "health: timed out after 0.3 s"],
])("a check that %s has failed, with the reason", async (_, script, change, reason) => {
  wish(script, change);
  expect(await result()).toMatchObject({ outcome: FAILED, reason });
});

test("a check runs once for an id, and again for another", async () => {
  wish("echo x >>runs");
  await result();
  checks.look(agentId);
  wish("echo y >>runs", { checkId: "two" });
  await result("two");
  expect(runs()).toEqual(["x", "y"]);
});

test("a check waits until the agent is on its generation, and tells when it has ended", async () => {
  const told: string[] = [];
  checks.onResult((id) => told.push(id));
  wish("echo x >>runs", { generation: 3n });
  expect(runs()).toEqual([]);
  generation = 4n;
  checks.look(agentId);
  await result();
  expect(runs()).toEqual(["x"]);
  expect(told).toEqual([agentId]);
});

test("a check that is wished while one runs follows it", async () => {
  wish("echo x >>runs; while [ ! -e go ]; do sleep 0.01; done");
  await eventually(() => expect(runs()).toEqual(["x"]));
  wish("echo y >>runs", { checkId: "two" });
  expect(runs()).toEqual(["x"]);
  writeFileSync(join(vm.directory, "go"), "");
  await result("two");
  expect(runs()).toEqual(["x", "y"]);
});

test("a process of a check that runs is known as its agent's, and a stop ends it", async () => {
  wish("echo $$ >>runs; exec sleep 1000");
  const pid = await eventually(() => {
    expect(Number(runs()[0])).toBeGreaterThan(1);
    return Number(runs()[0]);
  });
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const startTime = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  expect(checks.agentOf({ pid, startTime })).toBe(agentId);
  expect(checks.agentOf({ pid: process.pid, startTime })).toBeUndefined();
  await checks.stop();
  expect(checks.resultOf(agentId)).toBeUndefined();
  expect(checks.agentOf({ pid, startTime })).toBeUndefined();
});

test("a check that the end of its agent cuts short has no result", async () => {
  const told: string[] = [];
  checks.onResult((id) => told.push(id));
  wish("echo x >>runs; exec sleep 1000");
  await eventually(() => expect(runs()).toEqual(["x"]));
  process.kill(supervisor.get(agentId)!.main!.pid, "SIGKILL");
  await eventually(() => {
    expect(lines.join("")).toContain("health check was cut short: its agent ended");
  });
  expect(checks.resultOf(agentId)).toBeUndefined();
  expect(told).toEqual([]);
});
