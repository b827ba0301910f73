import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Adoption, AgentPhase } from "../gen/murmur/rotation/v1/agents";
import { type FakeRotation, fakeAgent, startFakeRotation } from "../test/fakes/fake-rotation";
import { eventually } from "../test/harness/eventually";
import { buildTestCli, type CliCall, type CliRun, type TestCli } from "../test/harness/murmur-cli";

const ADOPTION: Adoption = {
  ...{ pid: 4711, startTicks: 99n, name: "node", directory: "/run/murmur/agents/x" },
  startedAt: new Date(Date.now() - 3 * 3_600_000),
  canUse: ["files: /run/murmur/agents/x/env", "reload: SIGHUP after each change"],
  cannotUse: ["environment: what pid 4711 was started with stays"],
};
const { AGENT_PHASE_RUNNING: RUNNING, AGENT_PHASE_FAILED: FAILED } = AgentPhase;

let cli: TestCli;
let rotation: FakeRotation;
let cwd: string;

beforeAll(async () => {
  cli = await buildTestCli();
});
afterAll(() => {
  cli.remove();
});
beforeEach(async () => {
  rotation = await startFakeRotation();
  const config = { rotation: rotation.address, token: await rotation.token() };
  cwd = cli.configured({ ...config, workspace: "backend" });
});
afterEach(() => rotation.stop());

const murmur = (words: string, call: CliCall = {}): Promise<CliRun> =>
  cli.run(words.split(" "), { cwd, ...call });
/** What the VM makes of the agent once it was asked for. */
const becomes = (change: object) =>
  eventually(
    () => {
      const agent = rotation.agents.find(({ path }) => path === "fix-auth");
      if (!agent) throw new Error("nothing was asked for");
      Object.assign(agent, change);
    },
    { timeoutMs: 20_000 },
  );

it("asks for the process, waits for its VM, and says what can be used and what cannot", async () => {
  writeFileSync(join(cwd, "murmur.yaml"), "reload: { signal: SIGHUP }\n");
  rotation.warnings.push("no NPM_TOKEN");
  const run = murmur("adopt --vm build-1 --pid 4711 --cwd /srv fix-auth");
  await becomes({ phase: RUNNING, adoption: ADOPTION });
  expect(await run).toEqual({
    code: 0,
    stdout: [
      'Adopted pid 4711 (node, started 3 hours ago) as agent "fix-auth" on VM "build-1"',
      "It can use",
      "  files: /run/murmur/agents/x/env",
      "  reload: SIGHUP after each change",
      "It cannot use",
      "  environment: what pid 4711 was started with stays",
      "",
    ].join("\n"),
    stderr: "warning: no NPM_TOKEN\n",
  });
  expect(rotation.requests.spawn).toMatchObject([
    {
      ...{ slug: "fix-auth", vm: "build-1", command: [], workingDirectory: "/srv" },
      settings: {
        adopt: { pid: 4711, startTicks: 0n },
        reload: { how: { $case: "signal", value: "SIGHUP" } },
      },
    },
  ]);
});

it("adopts without any murmur.yaml, and tells machines the same", async () => {
  const run = murmur("adopt --pid 4711 --json fix-auth");
  await becomes({ phase: RUNNING, adoption: ADOPTION });
  expect(JSON.parse((await run).stdout)).toMatchObject({
    path: "fix-auth",
    adoption: {
      ...{ pid: 4711, name: "node", directory: "/run/murmur/agents/x" },
      can_use: ADOPTION.canUse,
      cannot_use: ADOPTION.cannotUse,
    },
  });
});

it("fails in the VM's words when the process cannot be adopted", async () => {
  const run = murmur("adopt --pid 4711 fix-auth");
  const value = "there is no process 4711";
  await becomes({ phase: FAILED, exitStatus: { how: { $case: "unknown", value } } });
  expect(await run).toEqual({
    code: 1,
    stdout: "",
    stderr:
      "murmur: adopt fix-auth: FAILED_PRECONDITION: there is no process 4711\n" +
      "Look at the VM's processes with ps -ef. Only those of its agents' user that are no agent's yet can be adopted.\n",
  });
});

it("says so when the VM does not answer in time, and when another agent got the slug", async () => {
  expect(await murmur("adopt --pid 4711 --timeout 1s fix-auth")).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining('VM "build-1" has not answered within 1s\n') as string,
  });
  rotation.agents.splice(0);
  const run = murmur("adopt --pid 4711 fix-auth");
  await becomes({ agentId: fakeAgent({}).agentId, phase: RUNNING, adoption: ADOPTION });
  expect(await run).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("another agent has its slug") as string,
  });
});

it.each(["adopt fix-auth", "adopt --pid 1 fix-auth", "adopt --pid x fix-auth", "adopt --pid 7"])(
  "`murmur %s` is wrong usage, and nothing is asked for",
  async (words) => {
    expect((await murmur(words)).code).toBe(2);
    expect(rotation.requests.spawn).toEqual([]);
  },
);

it("shows in the status of the agent", async () => {
  rotation.agents.push(fakeAgent({ path: "fix-auth", adoption: ADOPTION }));
  const { stdout } = await murmur("status fix-auth");
  expect(stdout).toContain("\n  adopted     pid 4711 (node, started 3 hours ago)\n");
  expect(stdout).toContain(
    "\nIt cannot use\n  environment: what pid 4711 was started with stays\n",
  );
  expect(JSON.parse((await murmur("status fix-auth --json")).stdout)).toMatchObject({
    adoption: { pid: 4711 },
  });
});
