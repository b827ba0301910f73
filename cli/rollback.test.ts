import type { FakeRotation } from "../test/fakes/fake-rotation";
import { useRolloutRig } from "../test/harness/rollout-rig";

const rig = useRolloutRig();
const { murmur } = rig;
let rotation: FakeRotation;

beforeEach(() => {
  ({ rotation } = rig);
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
