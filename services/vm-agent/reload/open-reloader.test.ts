import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HealthOutcome, ReloadOutcome, ReloadTarget } from "../../../gen/murmur/rotation/v1/agents";
import { systemClock } from "../../../lib/clock";
import { createLog } from "../../../lib/log";
import { agentOwner, createTestRunDir, type TestRunDir } from "../../../test/harness/env-files";
import { envSetOf } from "../../../test/harness/env-sets";
import { eventually } from "../../../test/harness/eventually";
import type { EnvFiles } from "../env-set/env-files";
import { render } from "../env-set/render";
import type { Supervisor } from "../processes/supervisor";
import { createTestVm, type TestVm } from "../processes/test-vm";
import { openHealthChecks, openReloader } from "./open-reloader";

let vm: TestVm;
let runDir: TestRunDir;
let supervisor: Supervisor;
let files: EnvFiles;
let agentId: string;
let lines: string[];

beforeEach(async () => {
  vm = createTestVm();
  runDir = createTestRunDir();
  supervisor = vm.supervisor();
  files = runDir.start();
  lines = [];
  const request = vm.request({ argv: ["sleep", "1000"] });
  ({ agentId } = request);
  await supervisor.spawn(request);
  swapIn(1n);
});
afterEach(async () => {
  await vm.close();
  runDir.remove();
});

const valueOf = (generation: bigint) => `s3cret-of-${generation}-end`;

function swapIn(generation: bigint): void {
  const set = envSetOf([valueOf(generation)], { agentId, generation });
  files.swap(render(set, { directory: files.directoryOf(agentId) }), agentOwner);
  files.prune(agentId);
}

function stageIn(generation: bigint): void {
  const set = envSetOf([valueOf(generation)], { agentId, generation });
  const staged = files.stage(render(set, { directory: files.directoryOf(agentId) }), agentOwner);
  expect(files.putInForce(staged!)).toBeDefined();
  files.prune(agentId);
}

const deps = () => ({
  ...{ stateDir: vm.stateDir, socketPath: vm.socketPath, inheritedEnv: process.env },
  ...{ supervisor, envFiles: files, clock: systemClock },
  log: createLog("test", "info", { write: (line) => lines.push(line) }),
});

/** Says when it runs, waits for `go`, and prints what it can have read meanwhile. */
const argv = () => {
  const said = [2n, 3n, 4n, 5n, 6n, 7n].map(valueOf).join(" ");
  return ["sh", "-c", `: >begun; until [ -e go ]; do sleep 0.02; done; echo said 1 ${said}`];
};
const at = (name: string) => join(vm.directory, name);

/** Of the first swaps that come while it runs, nothing is left on the disk at its end. */
async function swapWhileItRuns(): Promise<void> {
  await eventually(() => expect(existsSync(at("begun"))).toBe(true));
  for (const generation of [3n, 4n, 5n, 6n]) swapIn(generation);
  stageIn(7n);
  writeFileSync(at("go"), "");
}

function expectMasked(): void {
  const line = lines.find((each) => each.includes('"output"'));
  const { output } = JSON.parse(line ?? "{}") as { output?: string };
  expect(output).toBe(`said 1${" [redacted]".repeat(6)}\n`);
  expect(lines.join("")).not.toContain("s3cret");
}

test("what a hook says is logged without the values of any generation that came while it ran", async () => {
  swapIn(2n);
  const how = { $case: "hook" as const, value: { argv: argv() } };
  const reload = { how, target: ReloadTarget.RELOAD_TARGET_UNSPECIFIED, timeoutMs: 60_000 };
  const settings = { reload, childReload: undefined, layersOff: [], git: [], docker: [] };
  const reloader = openReloader(deps(), {
    launchOf: () => ({ workingDirectory: vm.directory, settings }),
    generationOf: () => 2n,
  });
  reloader.expect(agentId, 2n);
  reloader.look(agentId);
  await swapWhileItRuns();
  await eventually(() => {
    const outcome = reloader.resultOf(agentId)?.outcome;
    expect(outcome).toBe(ReloadOutcome.RELOAD_OUTCOME_DONE);
  });
  await reloader.stop();
  expectMasked();
});

test("what a health check says is logged without them as well", async () => {
  swapIn(2n);
  const health = openHealthChecks(deps(), {
    launchOf: () => ({ workingDirectory: vm.directory }),
    generationOf: () => 2n,
    checkOf: () => ({ checkId: "one", argv: argv(), timeoutMs: 60_000, generation: 2n }),
  });
  health.look(agentId);
  await swapWhileItRuns();
  await eventually(() => {
    expect(health.resultOf(agentId)?.outcome).toBe(HealthOutcome.HEALTH_OUTCOME_PASSED);
  });
  await health.stop();
  expectMasked();
});

test("nothing is logged of what a command said while a set could not be read", async () => {
  swapIn(2n);
  const unreadable = () => {
    throw new Error("not this one");
  };
  let isReadable = true;
  const envFiles: EnvFiles = {
    ...files,
    readCurrent: (id) => (isReadable ? files.readCurrent(id) : unreadable()),
  };
  const health = openHealthChecks(
    { ...deps(), envFiles },
    {
      launchOf: () => ({ workingDirectory: vm.directory }),
      generationOf: () => 2n,
      checkOf: () => ({ checkId: "one", argv: argv(), timeoutMs: 60_000, generation: 2n }),
    },
  );
  health.look(agentId);
  await eventually(() => expect(existsSync(at("begun"))).toBe(true));
  isReadable = false;
  swapIn(3n);
  isReadable = true;
  swapIn(4n);
  writeFileSync(at("go"), "");
  await eventually(() => {
    expect(health.resultOf(agentId)?.outcome).toBe(HealthOutcome.HEALTH_OUTCOME_PASSED);
  });
  await health.stop();
  const line = lines.find((each) => each.includes('"output"'));
  expect(JSON.parse(line ?? "{}")).toMatchObject({ output: "[redacted]" });
});
