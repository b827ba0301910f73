import { defects } from "./defects";
import { simulate, type Failure } from "./simulate";

const SCHEDULES = 10_000;

describe.each(defects)("trap: $trap", ({ mistake, breaks, reduce }) => {
  test(`the simulator catches that ${mistake}`, () => {
    let caught: Failure | undefined;
    for (let seed = 1; seed <= SCHEDULES && caught === undefined; seed += 1) {
      const failure = simulate(seed, { reduce });
      if (failure !== undefined && breaks.test(failure.what)) caught = failure;
    }
    expect(caught?.what).toMatch(breaks);
  }, 60_000);
});

test("every trap of the protocol has a planted defect", () => {
  expect([...new Set(defects.map(({ trap }) => trap))]).toEqual([
    "lock, then read",
    "desired set to mine",
    "rollback points back",
    "agent row after its snapshot",
    "spawn-time secrets before the agent",
    "snapshots kept or pruned",
    "reboot",
    "revoke on the acks of one rollout",
  ]);
});
