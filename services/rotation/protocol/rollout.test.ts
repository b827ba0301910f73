import { joinsOpenRollouts, rolloutState, whyPending } from "./rollout";

test("a rollout is open until every target is applied or skipped", () => {
  expect(rolloutState([{ state: "applied" }, { state: "skipped" }])).toBe("completed");
  expect(rolloutState([{ state: "applied" }, { state: "failed" }])).toBe("open");
  expect(rolloutState([{ state: "pending" }])).toBe("open");
});

test("a new agent joins every open rollout of its ancestors that it is not in", () => {
  const rollouts = [
    { id: "r1", agentIds: ["a"] },
    { id: "r2", agentIds: ["a", "b"] },
  ];
  expect(joinsOpenRollouts({ id: "b" }, rollouts).map((r) => r.id)).toEqual(["r1"]);
});

test("an open target always has a reason, the outermost first", () => {
  const target = { generation: 4, state: "failed" } as const;
  expect(whyPending(target, { desired: 4, vm: "never-seen" })).toBe("vm-never-seen");
  expect(whyPending(target, { desired: 4, vm: "offline" })).toBe("vm-offline");
  expect(whyPending(target, { desired: 5, vm: "connected" })).toBe("apply-failed");
  const waiting = { generation: 4, state: "pending" } as const;
  expect(whyPending(waiting, { desired: 5, vm: "connected" })).toBe("superseded");
  expect(whyPending(waiting, { desired: 4, vm: "connected" })).toBe("waiting-for-ack");
});
