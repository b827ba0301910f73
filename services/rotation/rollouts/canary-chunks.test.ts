import { randomUUID } from "node:crypto";
import { RolloutState, TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";

/** More than follow in one transaction. */
const BETWEEN = 499;

describe("many who follow canaries", () => {
  let fleet: Fleet;
  beforeEach(async () => {
    fleet = await startFleet();
  });
  afterEach(() => fleet.stop());

  it("all get their own new generation, whichever transaction they are in", async () => {
    await fleet.connect(fleet.machine("vm-1"), { isObedient: true });
    await fleet.spawn("a");
    const slugs = Array.from({ length: BETWEEN }, (_, at) => `b-${String(at).padStart(3, "0")}`);
    for (let at = 0; at < BETWEEN; at += 25)
      await Promise.all(slugs.slice(at, at + 25).map((slug) => fleet.spawn(slug)));
    // The last of the first five hundred who follow, and the first of the next.
    const { agentId: parentAgentId } = await fleet.spawn("c");
    await fleet.spawn("child", { parentAgentId });
    const { rollout } = await fleet.owner.rollouts.rekeyAgents({
      selection: { workspace: "backend", which: { $case: "all", value: true } },
      ...{ requestId: randomUUID(), reason: "" },
      canary: {
        size: { $case: "agents", value: 1 },
        ...{ health: undefined, healthTimeoutMs: 0, thenWaitMs: 0n },
      },
    });
    const rolloutId = rollout?.rolloutId ?? "";
    const targets = await eventually(
      async () => {
        const now = await fleet.owner.rollouts.getRollout({ rolloutId });
        expect(now.rollout?.state).toBe(RolloutState.ROLLOUT_STATE_COMPLETED);
        return now.targets;
      },
      { timeoutMs: 180_000 },
    );
    expect(targets).toHaveLength(BETWEEN + 3);
    const others = targets.filter(
      ({ generation, state }) => generation !== 2n || state !== TargetState.TARGET_STATE_APPLIED,
    );
    expect(others).toEqual([]);
  }, 600_000);
});
