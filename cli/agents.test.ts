import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentPhase, HopState, ReloadOutcome } from "../gen/murmur/rotation/v1/agents";
import { issueDeveloperToken } from "../lib/identity/claims";
import { type FakeRotation, fakeAgent, startFakeRotation } from "../test/fakes/fake-rotation";
import { connectVm } from "../test/fakes/scripted-vm";
import { startCatalog, type TestCatalog, type TestVm } from "../test/harness/catalog";
import { eventually } from "../test/harness/eventually";
import { buildTestCli, type CliCall, type CliRun, type TestCli } from "../test/harness/murmur-cli";
import { startRotation, type TestRotation } from "../test/harness/rotation";

let cli: TestCli;
let cwd: string;

beforeAll(async () => {
  cli = await buildTestCli();
});
afterAll(() => {
  cli.remove();
});
const murmur = (words: string, call: CliCall = {}): Promise<CliRun> =>
  cli.run(words.split(" "), { cwd, ...call });
const lines = ({ stdout }: CliRun) => stdout.split("\n").slice(0, -1);

describe("agents as rotation tells of them", () => {
  let rotation: FakeRotation;

  beforeEach(async () => {
    rotation = await startFakeRotation();
    rotation.agents.push(
      fakeAgent({ path: "fix-auth", desiredGeneration: 4n, appliedGeneration: 3n }),
      fakeAgent({ path: "fix-auth/tests", vmName: "build-2" }),
      fakeAgent({
        path: "old",
        phase: AgentPhase.AGENT_PHASE_FAILED,
        endedAt: new Date(),
        exitStatus: { how: { $case: "code", value: 3 } },
      }),
      fakeAgent({ path: "web", workspace: "frontend" }),
    );
    const config = { rotation: rotation.address, token: await rotation.token() };
    cwd = cli.configured({ ...config, workspace: "backend" });
  });
  afterEach(() => rotation.stop());

  it("lists slug, phase, VM and generation of the living ones of the workspace", async () => {
    expect(lines(await murmur("ls"))).toEqual([
      "SLUG            PHASE    VM       GENERATION",
      "fix-auth        running  build-1  3 of 4",
      "fix-auth/tests  running  build-2  1",
    ]);
    expect(lines(await murmur("ls -q"))).toEqual(["fix-auth", "fix-auth/tests"]);
    expect(lines(await murmur("ls -aq"))).toEqual(["fix-auth", "fix-auth/tests", "old"]);
    expect(lines(await murmur("ls --workspace frontend -q"))).toEqual(["web"]);
    expect(JSON.parse((await murmur("ls --json")).stdout)).toMatchObject([
      { path: "fix-auth", phase: "running", desired_generation: 4, applied_generation: 3 },
      { path: "fix-auth/tests" },
    ]);
  });

  it("names the workspace of each when no workspace is named", async () => {
    const everywhere = cli.configured({
      rotation: rotation.address,
      token: await rotation.token(),
    });
    expect(lines(await murmur("ls", { cwd: everywhere }))[3]).toBe(
      "frontend   web             running  build-1  1",
    );
  });

  it("shows how an agent's programs were told of its last change", async () => {
    const { RELOAD_OUTCOME_FAILED: outcome } = ReloadOutcome;
    const reload = { generation: 3n, outcome, reason: "hook: exit 3", at: new Date() };
    rotation.agents.push(fakeAgent({ path: "told", reload }));
    const expected = "  reload      failed for generation 3: hook: exit 3";
    expect(lines(await murmur("status told"))).toContain(expected);
    expect(JSON.parse((await murmur("status told --json")).stdout)).toMatchObject({
      reload: { generation: 3, outcome: "failed", reason: "hook: exit 3" },
    });
  });

  it("gives a new agent the settings of the nearest murmur.yaml", async () => {
    writeFileSync(join(cwd, "murmur.yaml"), "reload: { signal: SIGUSR1 }\nlive: { bash: off }\n");
    expect((await murmur("spawn told -- true")).code).toBe(0);
    expect(rotation.requests.spawn.at(-1)?.settings).toMatchObject({
      reload: { how: { $case: "signal", value: "SIGUSR1" } },
      layersOff: ["bash"],
    });
    writeFileSync(join(cwd, "murmur.yaml"), "reload: { signal: 1 }\n");
    expect(await murmur("spawn other -- true")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("murmur.yaml: reload.signal must be a text") as string,
    });
  });

  it("shows one agent with its children and processes", async () => {
    expect(lines(await murmur("status fix-auth"))).toEqual([
      "fix-auth",
      "  phase       running",
      "  life        started just now",
      "  workspace   backend",
      "  vm          build-1",
      "  generation  3 of 4",
      "  evidence    agent and 0 of 1 process on generation 3; pid 41 (bash) is on generation 1",
      "  developer   github/alice",
      "",
      "Children",
      "  SLUG            PHASE    VM       GENERATION",
      "  fix-auth/tests  running  build-2  1",
      "",
      "Processes, just now",
      "  PID  PARENT  NAME  GENERATION  BY",
      "  41   1       bash  1           bash",
    ]);
    expect((await murmur("status old")).stdout).toContain("ended just now (status 3)\n");
  });

  it("ends an agent and tells which children end with it", async () => {
    expect(await murmur("kill fix-auth")).toEqual({
      code: 0,
      stdout: 'Killed agent "fix-auth"\n',
      stderr: "ending child fix-auth/tests\n",
    });
    expect((await murmur("kill fix-oauth")).stderr).toBe(
      'murmur: kill fix-oauth: NOT_FOUND: no agent "fix-oauth" in workspace "backend"\n' +
        "Check the slug spelling. Use murmur ls to see running agents.\n",
    );
  });

  it("explains hop by hop", async () => {
    rotation.hops.push(
      { name: "desired", state: HopState.HOP_STATE_DONE, detail: "generation 4", at: new Date() },
      { name: "vm", state: HopState.HOP_STATE_FAILED, detail: "not seen", at: undefined },
    );
    expect(lines(await murmur("explain fix-auth"))).toEqual([
      "its VM is away",
      "HOP      STATE   WHEN      DETAIL",
      "desired  done    just now  generation 4",
      "vm       failed  -         not seen",
    ]);
  });

  it("hands the command on word for word and warns in the service's words", async () => {
    rotation.warnings.push('secret "NPM_TOKEN" does not exist');
    const command = ["make", "-e", "A=B", "--", "$x 'y'", ""];
    const run = await cli.run(["spawn", "--cwd", "/srv", "new", "--", ...command], { cwd });
    expect(run).toEqual({
      code: 0,
      stdout: 'Spawned agent "new" on VM "build-1"\n',
      stderr: 'warning: secret "NPM_TOKEN" does not exist\n',
    });
    expect(rotation.requests.spawn).toMatchObject([
      { slug: "new", command, workingDirectory: "/srv", workspace: "backend", vm: "" },
    ]);
  });

  it("lists rollouts and shows one", async () => {
    rotation.isPrompt = true;
    await cli.run(["rekey", "--reason", "key leaked", "fix-auth"], { cwd });
    expect(lines(await murmur("rollouts"))).toEqual([
      "ROLLOUT    AGENT     KIND   STATE      WHEN      BY            REASON",
      "rollout-1  fix-auth  rekey  completed  just now  github/alice  key leaked",
    ]);
    expect(lines(await murmur("rollouts rollout-1"))).toEqual([
      "fix-auth: completed, asked for just now by github/alice",
      "reason: key leaked",
      "AGENT           VM       GENERATION  STATE    REASON",
      "fix-auth        build-1  2           applied",
      "fix-auth/tests  build-2  2           applied",
    ]);
    expect((await murmur("rollouts nope")).stderr).toBe(
      'murmur: rollouts nope: NOT_FOUND: no rollout "nope"\nUse murmur rollouts to see the rollouts.\n',
    );
  });

  it("colours a table on a terminal only, and not with NO_COLOR", async () => {
    const env = { NO_COLOR: "1" };
    expect((await cli.runOnTerminal(["ls"], { cwd })).stdout).toContain("\u001b[32mrunning");
    expect((await cli.runOnTerminal(["ls"], { cwd, env })).stdout).not.toContain("\u001b");
    expect((await murmur("ls")).stdout).not.toContain("\u001b");
  });
});

describe("agents of a real catalog and rotation", () => {
  let catalog: TestCatalog;
  let rotation: TestRotation;
  let vm: TestVm;

  beforeAll(async () => {
    catalog = await startCatalog();
    rotation = await startRotation({ catalog });
    const token = await issueDeveloperToken(catalog.rotationKey, {
      ...{ tenantId: "acme", developer: "github/alice", role: "owner", ttlSeconds: 3600 },
    });
    const addresses = { catalog: catalog.address, rotation: rotation.address };
    cwd = cli.configured({ ...addresses, token, workspace: "backend" });
    vm = await catalog.joinVm("acme", "build-1");
    await murmur("set workspace backend", { input: "" });
  });
  afterAll(async () => {
    await rotation.stop();
    await catalog.stop();
  });

  it("are spawned with values of their own, shown, explained and ended", async () => {
    const spawned = await murmur("spawn -e TOKEN=t -e HERE fix-auth -- sleep 60", {
      env: { HERE: "taken from the environment" },
    });
    expect(spawned).toEqual({
      code: 0,
      stdout: 'Spawned agent "fix-auth" on VM "build-1"\n',
      stderr: "",
    });
    const { rows } = await rotation.database.pool.query(
      "select expects_spawn_secrets from rotation.agents where slug = 'fix-auth'",
    );
    expect(rows).toEqual([{ expects_spawn_secrets: true }]);
    expect(lines(await murmur("ls"))[1]).toBe("fix-auth  starting  build-1  0 of 1");
    expect(lines(await murmur("vm ls"))[1]).toMatch(/^build-1 .* 1 {7}1 \(1 agent\)$/);
    expect((await murmur("explain fix-auth")).code).toBe(0);
    const rekey = await murmur("rekey --timeout 6s fix-auth");
    expect(rekey).toMatchObject({ code: 1, stdout: "" });
    expect(rekey.stderr).toContain("1 of 1 agents has not acked within 6s\n");
    expect(await murmur("kill fix-auth")).toMatchObject({
      code: 0,
      stdout: 'Killed agent "fix-auth"\n',
    });
  });

  it("stand beside when their VM was last in contact with rotation, not when it renewed a token", async () => {
    const seen = async () => lines(await murmur("vm ls"))[1];
    expect(await seen()).toMatch(/^build-1 {2}never /);
    await catalog.database.pool.query(
      "update catalog.vms set last_seen_at = now() - interval '2 hours'",
    );
    const client = rotation.clients(vm.credentials).vmSync;
    const connected = await connectVm({ client });
    await eventually(async () => expect(await seen()).toMatch(/^build-1 {2}connected /), {
      timeoutMs: 20_000,
    });
    expect(JSON.parse((await murmur("vm ls --json")).stdout)).toMatchObject([{ connected: true }]);
    connected.close();
    await eventually(
      async () => expect(await seen()).toMatch(/^build-1 {2}(just now|\d+ sec\S+ ago) /),
      {
        timeoutMs: 20_000,
      },
    );
  }, 180_000);

  it("are left out of the list of VMs while rotation is away", async () => {
    const token = (await murmur("auth token")).stdout.trim();
    const half = { catalog: catalog.address, rotation: "127.0.0.1:1", token };
    const run = await murmur("vm ls", { cwd: cli.configured(half) });
    expect(run).toMatchObject({
      code: 0,
      stderr:
        "warning: rotation is away: nothing is known of agents, and last seen is when a VM renewed its token\n",
    });
    expect(lines(run)[1]).toMatch(/^build-1 {2}2 hours ago .* \? {7}\?$/);
  });

  it("get all of env files, the later and -e before them, and only with whole files", async () => {
    const [first, second, broken] = ["A=1\nB='two\nlines'\nC=1\n", "C=2\nD=2\n", "A=1\nB='x\n"].map(
      (text, at) => {
        const path = join(cwd, `${at}.env`);
        writeFileSync(path, text);
        return path;
      },
    );
    const words = ["spawn", "--env-file", first!, "--env-file", second!, "-e", "D=3"];
    const spawned = await cli.run([...words, "filed", "--", "true"], { cwd });
    expect(spawned).toMatchObject({ code: 0, stderr: "" });
    const { rows } = await catalog.database.pool.query<{ name: string }>(
      "select name from catalog.secret_versions where kind = 'spawn' order by name",
    );
    expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(["A", "B", "C", "D"]));

    const refused = await cli.run(["spawn", "--env-file", broken!, "none", "--", "true"], { cwd });
    expect(refused).toEqual({
      code: 1,
      stdout: "",
      stderr: `murmur: spawn none: ${broken!}, line 2: its single quote is not closed\n`,
    });
    expect((await murmur("ls -aq")).stdout).not.toContain("none");
  });

  it("are refused with values whose names are reserved, before anything is started", async () => {
    const { code, stderr } = await murmur("spawn -e LD_PRELOAD=x bad -- true");
    expect(code).toBe(1);
    expect(stderr).toContain('INVALID_ARGUMENT: secret name "LD_PRELOAD" is reserved');
    expect((await murmur("ls -aq")).stdout).not.toContain("bad");
  });
});
