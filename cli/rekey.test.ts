import { TargetState } from "../gen/murmur/rotation/v1/rollouts";
import { unavailable } from "../lib/errors";
import { eventually } from "../test/harness/eventually";
import { type FakeRotation, fakeAgent } from "../test/fakes/fake-rotation";
import type { TestCli } from "../test/harness/murmur-cli";
import { APPLIED, RELOADING, RELOAD_FAILED, useRolloutRig } from "../test/harness/rollout-rig";

const rig = useRolloutRig();
const { murmur, watched } = rig;
let cli: TestCli;
let rotation: FakeRotation;
let cwd: string;

beforeEach(() => {
  ({ cli, rotation, cwd } = rig);
});

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
    rotation.settle("fix-auth", { ...APPLIED, reload: RELOAD_FAILED });
    rotation.settle("fix-auth/tests", { ...APPLIED, reload: RELOADING });
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
});
