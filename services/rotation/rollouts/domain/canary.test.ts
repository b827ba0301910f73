import {
  canaryCount,
  nextCanaryStep,
  rolledBackReason,
  type CanaryAgent,
  type CanaryState,
} from "./canary";

const agent = (change: Partial<CanaryAgent> = {}): CanaryAgent => ({
  ...{ path: "a", phase: "running", target: "applied", targetReason: "" },
  ...{ checkId: "r", health: { id: "r", outcome: "passed", reason: "" }, ...change },
});
const state = (change: Partial<CanaryState> = {}): CanaryState => ({
  ...{ rolloutId: "r", stage: "canary", hasHealth: true, isLate: false, reason: "" },
  ...{ rolledBackBy: undefined, agents: [agent()], ...change },
});
const back = (reason: string) => ({ kind: "enter", stage: "rolling-back", reason });

describe("how many canaries there are", () => {
  it.each([
    [{ agents: 3 }, 10, 3],
    [{ agents: 30 }, 10, 10],
    [{ percent: 10 }, 11, 2],
    [{ percent: 1 }, 5, 1],
    [{ percent: 100 }, 7, 7],
  ])("%p of %d is %d", (size, total, count) => {
    expect(canaryCount(size, total)).toBe(count);
  });
});

describe("a canary's next step", () => {
  it("is to wait when all are applied and well, and to follow when that is over", () => {
    expect(nextCanaryStep(state())).toMatchObject({ kind: "enter", stage: "waiting" });
    expect(nextCanaryStep(state({ stage: "waiting" }))).toEqual({ kind: "nothing" });
    expect(nextCanaryStep(state({ stage: "waiting", isLate: true }))).toMatchObject({
      ...{ kind: "enter", stage: "following" },
    });
    expect(nextCanaryStep(state({ stage: "following" }))).toEqual({ kind: "follow" });
    expect(nextCanaryStep(state({ stage: "rolling-back" }))).toEqual({ kind: "roll-back" });
  });

  it("believes only the health check that this rollout asked for", () => {
    const older = agent({ health: { id: "older", outcome: "failed", reason: "health: exit 1" } });
    expect(nextCanaryStep(state({ agents: [older] }))).toEqual({ kind: "nothing" });
    const taken = agent({ checkId: "newer" });
    expect(nextCanaryStep(state({ agents: [taken] }))).toMatchObject({
      ...{ kind: "end", stage: "stopped", reason: "another rollout took its canaries" },
    });
  });

  it("is to take all back when one was left out, though others are well", () => {
    const without = agent({ path: "b", target: "skipped", targetReason: "its record was changed" });
    expect(nextCanaryStep(state({ agents: [agent(), without] }))).toEqual(
      back('agent "b" was left out: its record was changed'),
    );
  });

  it("passes over who completed or was killed meanwhile, so long as one is left", () => {
    const over = agent({ phase: "completed", target: "skipped", targetReason: "completed" });
    const killed = agent({ target: "skipped", targetReason: "cancelled", health: undefined });
    expect(nextCanaryStep(state({ agents: [over, killed, agent()] }))).toMatchObject({
      stage: "waiting",
    });
  });

  it.each([
    ["completed", { phase: "completed", targetReason: "completed" }],
    ["was killed", { phase: "cancelled", targetReason: "cancelled" }],
    ["is being killed", { phase: "running", target: "skipped", targetReason: "cancelled" }],
  ] as const)("passes over a health check that failed because its agent %s", (_, change) => {
    const health = { id: "r", outcome: "failed", reason: "health: exit 143" } as const;
    const over = agent({ path: "b", target: "applied", health, ...change });
    expect(nextCanaryStep(state({ agents: [over, agent()] }))).toMatchObject({ stage: "waiting" });
    expect(nextCanaryStep(state({ agents: [over] }))).toMatchObject({
      ...{ kind: "end", stage: "stopped", reason: "its canaries are over" },
    });
  });

  it("is to take all back when one failed, whatever its health check said", () => {
    const failed = agent({ path: "b", phase: "failed" });
    expect(nextCanaryStep(state({ agents: [agent(), failed] }))).toEqual(back('agent "b" failed'));
  });

  it("says what its VM said of an agent that has not acked in time", () => {
    const failing = agent({ target: "failed", targetReason: "write: no space", health: undefined });
    expect(nextCanaryStep(state({ agents: [failing] }))).toEqual({ kind: "nothing" });
    expect(nextCanaryStep(state({ agents: [failing], isLate: true }))).toEqual(
      back('agent "a" has not acked in time: write: no space'),
    );
  });
});

it("does not take back by itself what somebody took back by hand meanwhile", () => {
  const failing = { stage: "rolling-back", reason: 'agent "a" failed' } as const;
  expect(nextCanaryStep(state({ ...failing, rolledBackBy: "github/alice" }))).toEqual({
    ...{ kind: "end", stage: "rolled-back" },
    reason: 'agent "a" failed; taken back by github/alice',
  });
  expect(nextCanaryStep(state({ ...failing, rolledBackBy: "rotation" }))).toEqual({
    kind: "roll-back",
  });
});

it("names a few of those who were not taken back, and none who ended or never changed", () => {
  const kept = (path: string, reason = "it was rekeyed since") =>
    ({ path, state: "skipped", reason }) as const;
  const targets = [
    ...[kept("a"), kept("b"), kept("c"), kept("d"), kept("e", "completed"), kept("f", "no record")],
    { path: "g", state: "pending", reason: "" } as const,
  ];
  const without = agent({ path: "f", target: "skipped", targetReason: "no record" });
  expect(rolledBackReason({ reason: "bad", agents: [without] }, targets)).toBe(
    'bad; agent "a" was NOT taken back: it was rekeyed since; ' +
      'agent "b" was NOT taken back: it was rekeyed since; ' +
      'agent "c" was NOT taken back: it was rekeyed since; 1 more was NOT taken back',
  );
});
