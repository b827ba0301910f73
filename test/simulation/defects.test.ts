import { defects } from "./defects";
import { simulate } from "./simulate";

const SCHEDULES = 10_000;

describe.each(defects)("trap: $trap", ({ mistake, breaks, reduce, from = 1 }) => {
  test(`the simulator catches that ${mistake}`, () => {
    let caught: string | undefined;
    for (let i = 0; i < SCHEDULES && caught === undefined; i += 1) {
      const seed = ((from - 1 + i) % SCHEDULES) + 1;
      const what = simulate(seed, { reduce })?.what;
      // Only its own symptom counts: a defect may well break something else on the way.
      if (what !== undefined && breaks.test(what)) caught = what;
    }
    expect(caught).toMatch(breaks);
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
