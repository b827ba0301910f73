import { type Canary, CanaryStage } from "../gen/murmur/rotation/v1/rollouts";
import type { FakeRotation } from "../test/fakes/fake-rotation";
import type { TestCli } from "../test/harness/murmur-cli";
import { APPLIED, useRolloutRig } from "../test/harness/rollout-rig";

const rig = useRolloutRig();
const { murmur, watched } = rig;
let cli: TestCli;
let rotation: FakeRotation;
let cwd: string;

beforeEach(() => {
  ({ cli, rotation, cwd } = rig);
});

describe("murmur rekey with canaries", () => {
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
