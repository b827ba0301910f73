import {
  type AgentProcess,
  ReloadOutcome,
  type ReloadResult,
} from "../gen/murmur/rotation/v1/agents";
import { type Canary, CanaryStage, TargetState } from "../gen/murmur/rotation/v1/rollouts";
import { ErrorReason } from "../gen/murmur/errors/v1/error_reason";
import { failedPrecondition, unavailable } from "../lib/errors";
import { type FakeRotation, fakeAgent, startFakeRotation } from "../test/fakes/fake-rotation";
import { processMessage } from "../test/fakes/process-message";
import { eventually } from "../test/harness/eventually";
import { buildTestCli, type CliCall, type CliRun, type TestCli } from "../test/harness/murmur-cli";

const RELOADED: ReloadResult = {
  ...{ generation: 2n, outcome: ReloadOutcome.RELOAD_OUTCOME_DONE, reason: "" },
  at: new Date("2026-01-02T03:04:05Z"),
};
const FAILED: ReloadResult = {
  ...RELOADED,
  outcome: ReloadOutcome.RELOAD_OUTCOME_FAILED,
  reason: "hook: exit 3",
};
const RUNNING = { ...RELOADED, outcome: ReloadOutcome.RELOAD_OUTCOME_RUNNING };
const APPLIED = { state: TargetState.TARGET_STATE_APPLIED, ackedAt: new Date() };

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
  rotation.agents.push(fakeAgent({ path: "fix-auth" }), fakeAgent({ path: "fix-auth/tests" }));
  cwd = cli.configured({
    rotation: rotation.address,
    workspace: "backend",
    token: await rotation.token(),
  });
});
afterEach(() => rotation.stop());

const murmur = (words: string, call: CliCall = {}): Promise<CliRun> =>
  cli.run(words.split(" "), { cwd, ...call });
const watched = () =>
  eventually(
    () => {
      expect(rotation.watchers()).toBe(1);
    },
    { timeoutMs: 20_000 },
  );

describe("murmur rekey", () => {
  it("prints Rekeyed, alone, once every agent has acked", async () => {
    const run = murmur("rekey fix-auth");
    await watched();
    rotation.settle("fix-auth", APPLIED);
    rotation.settle("fix-auth/tests", APPLIED);
    expect(await run).toEqual({ code: 0, stdout: "Rekeyed\n", stderr: "" });
    expect(rotation.requests.rekey).toMatchObject([{ workspace: "backend", path: "fix-auth" }]);
  });

  it("takes the workspace of the flag before that of the file, and hands the reason on", async () => {
    rotation.isPrompt = true;
    rotation.agents.push(fakeAgent({ path: "fix-auth", workspace: "frontend" }));
    const words = ["rekey", "--workspace", "frontend", "--reason", "key leaked", "fix-auth"];
    expect(await cli.run(words, { cwd })).toMatchObject({ code: 0, stdout: "Rekeyed\n" });
    expect(rotation.requests.rekey).toMatchObject([
      { workspace: "frontend", reason: "key leaked" },
    ]);
  });

  it("names who has not acked in time, and why, and exits 1", async () => {
    const run = murmur("rekey --timeout 6s fix-auth");
    await watched();
    rotation.settle("fix-auth", APPLIED);
    rotation.settle("fix-auth/tests", { reason: 'VM "build-1" is offline' });
    const { code, stdout, stderr } = await run;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.split("\n")).toEqual([
      "AGENT           VM       GENERATION  STATE    REASON",
      'fix-auth/tests  build-1  2           pending  VM "build-1" is offline',
      "murmur: rekey fix-auth: 1 of 2 agents has not acked within 6s",
      "The rollout goes on. Use murmur rollouts rollout-1 to follow it, murmur explain to see why.",
      "",
    ]);
  });

  it("says who was skipped because it is over", async () => {
    rotation.isPrompt = true;
    rotation.agents.push(fakeAgent({ path: "fix-auth/old", endedAt: new Date() }));
    expect(await murmur("rekey fix-auth")).toEqual({
      code: 0,
      stdout: "Rekeyed\n",
      stderr: "skipped fix-auth/old: completed\n",
    });
  });

  it("is no success when a living agent was left out, and names it", async () => {
    const run = murmur("rekey fix-auth");
    await watched();
    const { TARGET_STATE_SKIPPED: state } = TargetState;
    rotation.settle("fix-auth/tests", { state, reason: "its record was changed by other hands" });
    rotation.settle("fix-auth", APPLIED);
    expect(await run).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "skipped fix-auth/tests: its record was changed by other hands\n" +
        "murmur: rekey fix-auth: 1 of 2 agents was left out: fix-auth/tests\n" +
        "All others have got there. Use murmur explain to see what is wrong with an agent.\n",
    });
  });

  it("warns of a reload that is known to have failed, and is a success all the same", async () => {
    const run = murmur("rekey fix-auth");
    await watched();
    rotation.settle("fix-auth", { ...APPLIED, reload: FAILED });
    rotation.settle("fix-auth/tests", { ...APPLIED, reload: RUNNING });
    expect(await run).toEqual({
      code: 0,
      stdout: "Rekeyed\n",
      stderr: "warning: fix-auth: reload failed for generation 2: hook: exit 3\n",
    });
    expect((await murmur("rollouts rollout-1")).stdout).toMatch(
      /applied +reload failed for generation 2: hook: exit 3\n.*applied +reload running for generation 2\n/,
    );
  });

  it.each([
    ["--all", { workspace: "backend", which: { $case: "all", value: true } }],
    ["--secret API_KEY", { workspace: "", which: { $case: "secretName", value: "API_KEY" } }],
    [
      "--secret API_KEY --workspace backend",
      { workspace: "backend", which: { $case: "secretName", value: "API_KEY" } },
    ],
  ])("%s is one rollout, and Rekeyed when everybody has acked", async (words, selection) => {
    const run = murmur(`rekey ${words} --reason leaked`);
    await watched();
    rotation.settle("fix-auth", APPLIED);
    rotation.settle("fix-auth/tests", APPLIED);
    expect(await run).toEqual({ code: 0, stdout: "Rekeyed\n", stderr: "" });
    expect(rotation.requests.rekeyMany).toMatchObject([{ selection, reason: "leaked" }]);
    expect(rotation.requests.rekey).toEqual([]);
  });

  it.each(["rekey", "rekey fix-auth --all", "rekey --all --secret A"])(
    "refuses %p: whom to rekey is said once",
    async (words) => {
      const stderr = "name one of: an agent, --secret NAME, --all\nTry murmur --help.\n";
      expect(await murmur(words)).toMatchObject({
        ...{ code: 2, stdout: "", stderr: expect.stringContaining(stderr) as string },
      });
    },
  );

  it("with --dry-run says who would change and which names, and asks for nothing", async () => {
    const named = (path: string) => ({
      ...{ agentId: path, workspace: "backend", path, vmName: "build-1" },
    });
    const none = { addedNames: [], changedNames: [], removedNames: [], refusal: "" };
    rotation.changes = [
      { ...none, agents: [named("fix-auth/tests")] },
      {
        ...{ agents: [named("fix-auth")], refusal: "" },
        ...{ addedNames: ["FRESH"], changedNames: ["API_KEY"], removedNames: ["OLD"] },
      },
      { ...none, agents: [named("lost")], refusal: "its VM is not registered any more" },
    ];
    const { code, stdout, stderr } = await murmur("rekey --dry-run --all");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n")).toEqual([
      "WORKSPACE  AGENT           VM       WOULD CHANGE",
      "backend    fix-auth        build-1  API_KEY +FRESH -OLD",
      "backend    fix-auth/tests  build-1  nothing",
      "backend    lost            build-1  left out: its VM is not registered any more",
      "",
    ]);
    const json = JSON.parse((await murmur("rekey --dry-run --json fix-auth")).stdout) as object;
    expect(json).toMatchObject({
      dry_run: true,
      agents: [
        { path: "fix-auth", added: ["FRESH"], changed: ["API_KEY"], removed: ["OLD"] },
        { path: "fix-auth/tests", added: [], changed: [], removed: [] },
        { path: "lost", left_out: "its VM is not registered any more" },
      ],
    });
    expect(rotation.rollouts).toEqual([]);
  });

  describe("with canaries", () => {
    const canary = (change: Partial<Canary>) => {
      const newest = rotation.rollouts.at(-1)!.rollout;
      newest.canary = {
        ...{ stage: CanaryStage.CANARY_STAGE_CANARY, agents: 1, agentsWaiting: 1 },
        ...{ stageUntil: undefined, reason: "", ...change },
      };
      return newest;
    };

    it("asks for them, and is Rekeyed when the rest has followed", async () => {
      const run = cli.run(
        ["rekey", "--all", "--canary", "10%", "--health", "curl 'x y'", "--then-wait", "5m"],
        { cwd },
      );
      await watched();
      canary({ stage: CanaryStage.CANARY_STAGE_PASSED, agentsWaiting: 0 });
      rotation.settle("fix-auth", APPLIED);
      rotation.settle("fix-auth/tests", APPLIED);
      expect(await run).toEqual({ code: 0, stdout: "Rekeyed\n", stderr: "" });
      expect(rotation.requests.rekeyMany[0]?.canary).toEqual({
        size: { $case: "percent", value: 10 },
        health: { argv: ["sh", "-c", "curl 'x y'"] },
        ...{ healthTimeoutMs: 10_000, thenWaitMs: 300_000n },
      });
    });

    it("is no success when they were taken back, and says why", async () => {
      const run = cli.run(["rekey", "--canary", "1", "--health", "false", "fix-auth"], { cwd });
      await watched();
      const reason = 'health check failed on "fix-auth": exit 1';
      canary({ stage: CanaryStage.CANARY_STAGE_ROLLED_BACK, reason }).rolledBackBy = "rollout-2";
      rotation.settle("fix-auth", APPLIED);
      rotation.settle("fix-auth/tests", APPLIED);
      expect(await run).toEqual({
        code: 1,
        stdout: "",
        stderr:
          `murmur: rekey fix-auth: canary rolled back: ${reason}\n` +
          "Nobody else was changed. Use murmur rollouts rollout-2 to see the rollback.\n",
      });
      const shown = (await murmur("rollouts rollout-1")).stdout;
      expect(shown).toContain(`canary: 1 agent, rolled back; ${reason}; 1 left as they are\n`);
      expect((await murmur("rollouts")).stdout).toContain(`canary: ${reason}`);
      const json = (await murmur("rollouts rollout-1 --json")).stdout;
      expect(JSON.parse(json)).toMatchObject({ canary: { stage: "rolled back", reason } });
    });

    it("is no success when they could not be taken back, and says so", async () => {
      const run = cli.run(["rekey", "--canary", "1", "--health", "false", "fix-auth"], { cwd });
      await watched();
      const reason = "it failed; the canaries were NOT taken back: generation 1 is not kept";
      canary({ stage: CanaryStage.CANARY_STAGE_STOPPED, reason });
      rotation.settle("fix-auth", APPLIED);
      rotation.settle("fix-auth/tests", APPLIED);
      expect(await run).toEqual({
        code: 1,
        stdout: "",
        stderr:
          `murmur: rekey fix-auth: canary stopped: ${reason}\n` +
          "Nobody else was changed. Use murmur rollouts rollout-1 to see it.\n",
      });
    });

    it("says how far it is when the time is over, and that it goes on", async () => {
      const run = murmur("rekey --canary 1 --timeout 6s fix-auth");
      await watched();
      canary({ stage: CanaryStage.CANARY_STAGE_WAITING });
      rotation.settle("fix-auth", APPLIED);
      expect(await run).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(
          "murmur: rekey fix-auth: canary: 1 agent, waiting; 1 still to follow after 6s\n" +
            "The rollout goes on.",
        ) as string,
      });
    });

    it.each([
      ["--canary 0 x", "--canary must be a number of agents, or 1% to 100%"],
      ["--canary 101% x", "--canary must be a number of agents, or 1% to 100%"],
      ["--canary some x", "--canary must be a number of agents, or 1% to 100%"],
      ["--health true x", "--health goes with --canary"],
      ["--then-wait 5m x", "--then-wait goes with --canary"],
      [
        "--canary 1 --then-wait 5 x",
        "--then-wait must be a duration such as 500ms, 30s, 2m or 1h, up to 24h",
      ],
    ])("refuses rekey %s as wrong usage", async (words, message) => {
      expect(await murmur(`rekey ${words}`)).toMatchObject({
        ...{ code: 2, stderr: `murmur: rekey x: ${message}\nTry murmur --help.\n` },
      });
    });
  });

  it("with --no-wait prints the rollout and exits 0 before anybody has acked", async () => {
    const run = await murmur("rekey --no-wait fix-auth");
    expect(run).toEqual({ code: 0, stdout: "Rekey started: rollout-1\n", stderr: "" });
  });

  it("with --json prints every target for machines", async () => {
    rotation.isPrompt = true;
    const { code, stdout } = await murmur("rekey --json fix-auth");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      rollout_id: "rollout-1",
      state: "completed",
      targets: [
        { path: "fix-auth", vm: "build-1", generation: 2, state: "applied" },
        { path: "fix-auth/tests", state: "applied" },
      ],
    });
  });

  it("sends the same request again when rotation was away for a moment", async () => {
    rotation.isPrompt = true;
    rotation.rekeyFailures.push(unavailable("database is away", undefined, 50));
    expect(await murmur("rekey fix-auth")).toMatchObject({ code: 0, stdout: "Rekeyed\n" });
    const ids = rotation.requests.rekey.map(({ requestId }) => requestId);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  it("watches on when rotation is started anew in between", async () => {
    const run = murmur("rekey fix-auth");
    await watched();
    await rotation.stop();
    await rotation.start();
    await watched();
    rotation.settle("fix-auth", APPLIED);
    rotation.settle("fix-auth/tests", APPLIED);
    expect(await run).toEqual({ code: 0, stdout: "Rekeyed\n", stderr: "" });
  });

  it("leaves the rollout going on Ctrl-C and says so", async () => {
    let interrupt: () => void = () => undefined;
    const run = murmur("rekey fix-auth", { onStart: (how) => (interrupt = how) });
    await watched();
    interrupt();
    const { code, stdout, stderr } = await run;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("murmur: rekey fix-auth: interrupted; rollout rollout-1 goes on\n");
  });

  it("shows its progress on a terminal and takes it away at the end", async () => {
    let shown = "";
    const onOutput = (text: string) => void (shown = text);
    const run = cli.runOnTerminal(["rekey", "fix-auth"], { cwd, onOutput });
    // What is settled before it is drawn would never be seen.
    await eventually(() => expect(shown).toContain("Rekeying fix-auth: 0 of 2 agents"));
    rotation.settle("fix-auth/tests", { reason: "not seen for 3 minutes" });
    await eventually(() => expect(shown).toContain("pending: not seen for 3 minutes"));
    rotation.settle("fix-auth", APPLIED);
    rotation.settle("fix-auth/tests", APPLIED);
    const { code, stdout } = await run;
    expect(code).toBe(0);
    expect(stdout).toMatch(/Rekeying fix-auth: 0 of 2 agents, \d\.\d s/);
    expect(stdout).toContain("fix-auth/tests on build-1 pending: not seen for 3 minutes");
    const left = stdout.slice(stdout.lastIndexOf("\u001b[0J") + "\u001b[0J".length);
    expect(left).toMatch(/^2 agents in \d+ ms\r\nRekeyed\r\n$/);
  });

  describe("--wait processes", () => {
    const on = (pid: number, generation: bigint, more: Partial<AgentProcess> = {}) =>
      processMessage({ pid, generation, layer: "exec", ...more });

    beforeEach(() => {
      rotation.isPrompt = true;
    });

    it("waits until every process has the new set or sees it with its next read", async () => {
      rotation.processes = [
        [on(10, 1n)],
        [on(20, 2n)],
        [on(10, 2n), on(11, 1n, { readsThrough: true, name: "node" })],
        [on(20, 2n)],
      ];
      expect(await murmur("rekey --wait processes fix-auth")).toEqual({
        code: 0,
        stdout: "Rekeyed\n",
        stderr:
          "fix-auth: agent and 1 of 2 processes on generation 2; pid 11 (node) reads through\n" +
          "fix-auth/tests: agent and 1 of 1 process on generation 2\n",
      });
    });

    describe("of agents with a reload", () => {
      beforeEach(() => {
        rotation.processes = Array.from({ length: 2_000 }, () => [on(10, 2n)]);
      });

      it("waits until it is over", async () => {
        rotation.reloads = [RUNNING, undefined, RUNNING, undefined, RELOADED];
        expect(await murmur("rekey --wait processes fix-auth")).toMatchObject({
          ...{ code: 0, stdout: "Rekeyed\n" },
        });
        expect(rotation.reloads).toEqual([]);
      });

      it("says that it failed, and is no success then", async () => {
        rotation.reloads = [RUNNING, undefined, FAILED];
        expect(await murmur("rekey --wait processes fix-auth")).toEqual({
          code: 1,
          stdout: "",
          stderr:
            "fix-auth: agent and 1 of 1 process on generation 2\n" +
            "fix-auth/tests: agent and 1 of 1 process on generation 2\n" +
            "warning: fix-auth: reload failed for generation 2: hook: exit 3\n" +
            "murmur: rekey fix-auth: the reload of fix-auth failed\n" +
            "The files are in place. What a hook wrote is in the log of its VM's daemon.\n",
        });
      });

      it("says that it is still under way when the time is over", async () => {
        rotation.reloads = Array.from({ length: 2_000 }, () => RUNNING);
        const { code, stdout, stderr } = await murmur(
          "rekey --wait processes --timeout 6s fix-auth",
        );
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
        expect(stderr).toContain(
          "the reloads of fix-auth, fix-auth/tests are still under way\n" +
            "The files are in place. Use murmur status to see how it ended.\n",
        );
      });

      it("with --json shows it for every agent", async () => {
        rotation.reloads = [FAILED];
        const { code, stdout } = await murmur("rekey --wait processes --json fix-auth");
        expect(code).toBe(1);
        const reload = { generation: 2, outcome: "failed", reason: "hook: exit 3" };
        expect(JSON.parse(stdout)).toMatchObject({
          processes: [{ path: "fix-auth", reload }, { path: "fix-auth/tests" }],
        });
      });
    });

    it("names who cannot be told, and is no success then", async () => {
      const java = processMessage({ pid: 4711, name: "java" });
      rotation.processes = Array.from({ length: 2_000 }, (_, at) =>
        at % 2 === 0 ? [on(10, 2n), java] : [on(20, 2n)],
      );
      const { code, stdout, stderr } = await murmur("rekey --wait processes fix-auth");
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain(
        "fix-auth: agent and 1 of 2 processes on generation 2; pid 4711 (java) cannot be told\n",
      );
      expect(stderr).toContain("1 of 3 processes is not known to use the new set\n");
    });
  });
});

describe("murmur rollback", () => {
  beforeEach(async () => {
    rotation.isPrompt = true;
    await murmur("rekey fix-auth");
  });

  it("prints Rolled back, alone, once every agent has acked, and warns of what stays", async () => {
    rotation.warnings.push('"API_KEY" was deleted since');
    expect(await murmur("rollback rollout-1")).toEqual({
      code: 0,
      stdout: "Rolled back\n",
      stderr: 'warning: "API_KEY" was deleted since\n',
    });
    expect((await murmur("rollouts")).stdout).toMatch(
      /rollout-2 +fix-auth +rollback +completed[^]*rollout-1 +fix-auth +rekey +rolled back/,
    );
    expect((await murmur("rollouts rollout-2")).stdout).toContain("takes back: rollout-1\n");
    expect((await murmur("rollouts rollout-1")).stdout).toContain("taken back by: rollout-2\n");
  });

  it("with --no-wait prints the rollback, with --json every target", async () => {
    const started = await murmur("rollback --no-wait rollout-1");
    expect(started).toEqual({ code: 0, stdout: "Rollback started: rollout-2\n", stderr: "" });
    const { stdout } = await murmur("rollback --json rollout-1");
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ kind: "rollback", rolls_back: "rollout-1", state: "completed" },
      targets: [{ path: "fix-auth", state: "applied" }, { path: "fix-auth/tests" }],
    });
  });

  it("names who has not acked in time, and exits 1", async () => {
    rotation.isPrompt = false;
    const { code, stdout, stderr } = await murmur("rollback --timeout 6s rollout-1");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("rollback rollout-1: 2 of 2 agents have not acked within 6s\n");
  });

  it("says that there is no such rollout, and how to find one", async () => {
    expect(await murmur("rollback rollout-9")).toEqual({
      code: 1,
      stdout: "",
      stderr:
        'murmur: rollback rollout-9: NOT_FOUND: no rollout "rollout-9"\n' +
        "Use murmur rollouts to see the rollouts.\n",
    });
  });
});

describe("murmur rekey that is refused", () => {
  it("says that there is no such agent, and how to find one", async () => {
    expect(await murmur("rekey fix-oauth")).toEqual({
      code: 1,
      stdout: "",
      stderr:
        'murmur: rekey fix-oauth: NOT_FOUND: no agent "fix-oauth" in workspace "backend"\n' +
        "Check the slug spelling. Use murmur ls to see running agents.\n",
    });
  });

  it("says that the token is missing or expired, and what to run", async () => {
    const directory = cli.configured({ rotation: rotation.address, workspace: "b", token: "old" });
    expect(await murmur("rekey fix-auth", { cwd: directory })).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "murmur: rekey fix-auth: UNAUTHENTICATED: identity token is missing or expired\n" +
        "Run murmur auth or check your murmur.local.yaml configuration.\n",
    });
  });

  it("is one line on a VM, whatever else was typed", async () => {
    for (const words of ["rekey fix-auth", "rekey", "rekey --nonsense x y"]) {
      expect(await murmur(words, { env: { MURMUR_AGENT: "fix-auth" } })).toEqual({
        code: 1,
        stdout: "",
        stderr: "rekey is not supported on VMs\n",
      });
    }
  });

  it("names the three places of a workspace when none has one, exit 2", async () => {
    const directory = cli.configured({ rotation: rotation.address });
    const { code, stderr } = await murmur("rekey fix-auth", { cwd: directory });
    expect(code).toBe(2);
    for (const place of ["--workspace", "murmur.local.yaml", "murmur.yaml"])
      expect(stderr).toContain(place);
  });

  it("repeats what the service says about an agent that is over", async () => {
    const over = ErrorReason.ERROR_REASON_AGENT_ENDED;
    rotation.rekeyFailures.push(failedPrecondition(over, 'agent "fix-auth" is completed'));
    const { code, stderr } = await murmur("rekey fix-auth");
    expect(code).toBe(1);
    expect(stderr).toContain(
      'murmur: rekey fix-auth: FAILED_PRECONDITION: agent "fix-auth" is completed\n',
    );
  });

  it("prints nothing of a service's words that could steer the terminal", async () => {
    const over = ErrorReason.ERROR_REASON_AGENT_ENDED;
    rotation.rekeyFailures.push(failedPrecondition(over, "bad \u001b[2J\u202e\nthing"));
    const { stderr } = await murmur("rekey fix-auth");
    expect(stderr).toContain("bad \\x1b[2J\\u202e\\nthing");
  });
});
