import { randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AgentPhase, HealthOutcome } from "../../../gen/murmur/rotation/v1/agents";
import {
  type CanaryWish,
  CanaryStage,
  type Rollout,
  RolloutKind,
  RolloutState,
  TargetState,
} from "../../../gen/murmur/rotation/v1/rollouts";
import { failedPrecondition } from "../../../lib/errors";
import { spawnRequest, type ScriptedVm } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { startRotation } from "../../../test/harness/rotation";

const { CANARY_STAGE_CANARY: CANARY, CANARY_STAGE_WAITING: WAITING } = CanaryStage;
const { CANARY_STAGE_PASSED: PASSED, CANARY_STAGE_ROLLED_BACK: ROLLED_BACK } = CanaryStage;
const { CANARY_STAGE_STOPPED: STOPPED } = CanaryStage;
const HEALTH = { argv: ["sh", "-c", "exit 0"] };
const SELECTION = { workspace: "backend", which: { $case: "all" as const, value: true } };

describe("a rollout with canaries", () => {
  let fleet: Fleet;
  let vm: ScriptedVm;
  let ids: Map<string, string>;

  beforeEach(async () => {
    fleet = await startFleet();
    vm = await fleet.connect(fleet.machine("vm-1"));
    ids = new Map();
    for (const slug of ["a", "b", "c"]) {
      const { agentId } = await fleet.spawn(slug);
      ids.set(slug, agentId);
      await desired(slug, 1n);
      vm.ack(agentId);
    }
  });
  afterEach(() => fleet.stop());

  const idOf = (slug: string) => ids.get(slug)!;
  const desired = (slug: string, generation: bigint) =>
    eventually(() => {
      expect(vm.desired.get(idOf(slug))?.generation).toBe(generation);
    });
  const wish = (change: Partial<CanaryWish> = {}): CanaryWish => ({
    size: { $case: "agents", value: 1 },
    ...{ health: HEALTH, healthTimeoutMs: 0, thenWaitMs: 0n, ...change },
  });
  const rekey = async (canary = wish(), requestId: string = randomUUID(), by = fleet.owner) => {
    const request = { selection: SELECTION, requestId, reason: "", canary };
    const { rollout } = await by.rollouts.rekeyAgents(request);
    return rollout!;
  };
  const show = async ({ rolloutId }: Rollout) => {
    const { rollout, targets } = await fleet.owner.rollouts.getRollout({ rolloutId });
    return { ...rollout!, paths: targets.map(({ path }) => path) };
  };
  const reaches = (rollout: Rollout, stage: CanaryStage) =>
    eventually(async () => {
      const now = await show(rollout);
      expect(now.canary?.stage).toBe(stage);
      return now;
    });
  const feels = (slug: string, checkId: string, reason = "") => {
    const { HEALTH_OUTCOME_PASSED, HEALTH_OUTCOME_FAILED } = HealthOutcome;
    const outcome = reason === "" ? HEALTH_OUTCOME_PASSED : HEALTH_OUTCOME_FAILED;
    const report = { exitStatus: undefined, processes: [], phase: AgentPhase.AGENT_PHASE_RUNNING };
    const health = { checkId, outcome, reason, at: undefined };
    vm.send({ agents: [{ agentId: idOf(slug), ...report, health }] });
  };
  const expire = ({ rolloutId }: Rollout) =>
    fleet.rotation.database.pool.query(
      `update rotation.canaries set stage_until = clock_timestamp() where rollout_id = $1`,
      [rolloutId],
    );

  it("begins with the first by name, asks for their health, and lets the rest follow", async () => {
    const rollout = await rekey();
    expect(rollout.canary).toMatchObject({ stage: CANARY, agents: 1, agentsWaiting: 2 });
    await desired("a", 2n);
    expect(vm.desired.get(idOf("a"))?.healthCheck).toEqual({
      ...{ checkId: rollout.rolloutId, argv: HEALTH.argv, timeoutMs: 10_000, generation: 2n },
    });
    vm.ack(idOf("a"));
    await eventually(async () => {
      expect(await show(rollout)).toMatchObject({ targetsApplied: 1, paths: ["a"] });
    });
    expect(await show(rollout)).toMatchObject({
      ...{ state: RolloutState.ROLLOUT_STATE_OPEN, canary: { stage: CANARY } },
    });
    feels("a", rollout.rolloutId);
    const passed = await reaches(rollout, PASSED);
    expect(passed).toMatchObject({ paths: ["a", "b", "c"], completedAt: undefined });
    for (const slug of ["b", "c"]) {
      await desired(slug, 2n);
      expect(vm.desired.get(idOf(slug))?.healthCheck).toBeUndefined();
      vm.ack(idOf(slug));
    }
    const { rollout: ended } = await fleet.settled(rollout.rolloutId);
    expect(ended).toMatchObject({ state: RolloutState.ROLLOUT_STATE_COMPLETED, targetsTotal: 3 });
    await eventually(async () => {
      expect((await show(rollout)).completedAt).toBeDefined();
    });
  });

  it("takes the canaries back when a health check fails, and nobody follows", async () => {
    const rollout = await rekey(wish({ size: { $case: "agents", value: 2 } }));
    for (const slug of ["a", "b"]) {
      await desired(slug, 2n);
      vm.ack(idOf(slug));
    }
    feels("a", rollout.rolloutId);
    feels("b", rollout.rolloutId, "health: exit 3");
    const back = await reaches(rollout, ROLLED_BACK);
    expect(back.canary).toMatchObject({
      ...{ reason: 'health check failed on "b": exit 3', agentsWaiting: 1 },
    });
    expect(back.paths).toEqual(["a", "b"]);
    for (const slug of ["a", "b"]) await desired(slug, 3n);
    expect(vm.desired.get(idOf("c"))?.generation).toBe(1n);
    const { rollout: rollback } = await fleet.owner.rollouts.getRollout({
      rolloutId: back.rolledBackBy,
    });
    expect(rollback).toMatchObject({
      ...{ kind: RolloutKind.ROLLOUT_KIND_ROLLBACK, requestedBy: "rotation" },
      reason: 'canary: health check failed on "b": exit 3',
    });
    const asked = fleet.catalog.snapshots.at(-1)!.agents.map((it) => it.rollbackToGeneration);
    expect(asked).toEqual([1n, 1n]);
    const { rollout: ended } = await fleet.settled(rollout.rolloutId);
    expect(ended.state).toBe(RolloutState.ROLLOUT_STATE_COMPLETED);
  });

  it("takes the canaries back though somebody used request ids like its own before", async () => {
    const rollout = await rekey();
    await desired("a", 2n);
    const other = fleet.developer("github/mallory");
    const { agent } = await other.agents.spawnAgent(
      spawnRequest({ workspace: "backend", slug: "theirs", vm: "vm-1" }),
    );
    await eventually(() => {
      expect(vm.desired.get(agent!.agentId)?.generation).toBe(1n);
    });
    const requestId = `canary:${rollout.rolloutId}`;
    const request = { workspace: "backend", path: "theirs", requestId, reason: "" };
    await other.rollouts.rekeyAgent(request);
    vm.ack(idOf("a"));
    feels("a", rollout.rolloutId, "health: exit 3");
    await reaches(rollout, ROLLED_BACK);
    await desired("a", 3n);
  });

  /** As when a version that the agent had was destroyed. */
  const forgetFirstOf = (slug: string) => {
    fleet.catalog.beforeSnapshot = ({ agents }) => {
      const gone = agents.find(
        (it) => it.agentId === idOf(slug) && it.rollbackToGeneration !== undefined,
      );
      const reason = ErrorReason.ERROR_REASON_GENERATION_NOT_AVAILABLE;
      const why = `generation 1 of agent "${slug}" is not kept any more`;
      if (gone) throw failedPrecondition(reason, why, { agent_id: gone.agentId });
    };
  };

  it("says that the canaries were not taken back, and why, when it could not", async () => {
    forgetFirstOf("a");
    const rollout = await rekey();
    await desired("a", 2n);
    vm.ack(idOf("a"));
    feels("a", rollout.rolloutId, "health: exit 3");
    expect((await reaches(rollout, STOPPED)).canary?.reason).toBe(
      'health check failed on "a": exit 3; the canaries were NOT taken back: ' +
        `rollout "${rollout.rolloutId}" has nothing to go back to: agent "a": ` +
        'generation 1 of agent "a" is not kept any more',
    );
  });

  it("names the canaries that were not taken back with the others", async () => {
    forgetFirstOf("a");
    const rollout = await rekey(wish({ size: { $case: "agents", value: 2 } }));
    for (const slug of ["a", "b"]) await desired(slug, 2n);
    feels("b", rollout.rolloutId, "health: exit 3");
    expect((await reaches(rollout, ROLLED_BACK)).canary?.reason).toBe(
      'health check failed on "b": exit 3; agent "a" was NOT taken back: ' +
        'generation 1 of agent "a" is not kept any more',
    );
    await desired("b", 3n);
  });

  it("does not take back by itself what was rekeyed since", async () => {
    const rollout = await rekey(wish({ size: { $case: "agents", value: 2 } }));
    for (const slug of ["a", "b"]) await desired(slug, 2n);
    await fleet.rekey("a");
    await desired("a", 3n);
    feels("b", rollout.rolloutId, "health: exit 3");
    const back = await reaches(rollout, ROLLED_BACK);
    expect(back.canary?.reason).toBe(
      'health check failed on "b": exit 3; agent "a" was NOT taken back: it was rekeyed since',
    );
    await desired("b", 3n);
    const { targets } = await fleet.owner.rollouts.getRollout({ rolloutId: back.rolledBackBy });
    expect(targets).toMatchObject([
      { path: "a", state: TargetState.TARGET_STATE_SKIPPED, reason: "it was rekeyed since" },
      { path: "b", generation: 3n },
    ]);
    const { agent } = await fleet.owner.agents.getAgent({ workspace: "backend", path: "a" });
    expect(agent?.desiredGeneration).toBe(3n);
  });

  it("does not take back what is rekeyed while the rollback's snapshot is taken", async () => {
    const rollout = await rekey();
    await desired("a", 2n);
    fleet.catalog.beforeSnapshot = async ({ agents }) => {
      if (agents.every((it) => it.rollbackToGeneration === undefined)) return;
      fleet.catalog.beforeSnapshot = () => undefined;
      await fleet.rekey("a");
    };
    feels("a", rollout.rolloutId, "health: exit 3");
    expect((await reaches(rollout, ROLLED_BACK)).canary?.reason).toBe(
      'health check failed on "a": exit 3; agent "a" was NOT taken back: it was rekeyed since',
    );
    const { agent } = await fleet.owner.agents.getAgent({ workspace: "backend", path: "a" });
    expect(agent?.desiredGeneration).toBe(3n);
  });

  it("takes the canaries back when they have not acked, or not told of their health, in time", async () => {
    const silent = await rekey();
    await desired("a", 2n);
    await expire(silent);
    expect((await reaches(silent, ROLLED_BACK)).canary?.reason).toBe(
      'agent "a" has not acked in time',
    );
    await desired("a", 3n);
    vm.ack(idOf("a"));
    const untold = await rekey();
    await desired("a", 4n);
    vm.ack(idOf("a"));
    await eventually(async () => {
      expect((await show(untold)).targetsApplied).toBe(1);
    });
    await expire(untold);
    expect((await reaches(untold, ROLLED_BACK)).canary?.reason).toBe(
      'the health check of "a" has not ended in time',
    );
  });

  it("takes the canaries back when one fails while the rest waits", async () => {
    const canary = wish({ size: { $case: "percent", value: 50 }, health: undefined });
    const rollout = await rekey({ ...canary, thenWaitMs: 3_600_000n });
    for (const slug of ["a", "b"]) {
      await desired(slug, 2n);
      expect(vm.desired.get(idOf(slug))?.healthCheck).toBeUndefined();
      vm.ack(idOf(slug));
    }
    const waiting = await reaches(rollout, WAITING);
    expect(waiting.paths).toEqual(["a", "b"]);
    expect(waiting.canary!.stageUntil!.getTime()).toBeGreaterThan(Date.now() + 3_000_000);
    vm.report(idOf("a"), AgentPhase.AGENT_PHASE_FAILED, { how: { $case: "code", value: 1 } });
    expect((await reaches(rollout, ROLLED_BACK)).canary?.reason).toBe('agent "a" failed');
    await desired("b", 3n);
  });

  it("lets the rest follow when the wait is over", async () => {
    const rollout = await rekey(wish({ health: undefined, thenWaitMs: 3_600_000n }));
    await desired("a", 2n);
    vm.ack(idOf("a"));
    await reaches(rollout, WAITING);
    await expire(rollout);
    expect((await reaches(rollout, PASSED)).paths).toEqual(["a", "b", "c"]);
  });

  it("stops when it is taken back by hand", async () => {
    const rollout = await rekey(wish({ health: undefined, thenWaitMs: 3_600_000n }));
    await desired("a", 2n);
    const { rolloutId } = rollout;
    await fleet.owner.rollouts.rollbackRollout({ rolloutId, requestId: "", reason: "" });
    expect((await reaches(rollout, ROLLED_BACK)).canary?.reason).toBe("taken back by github/alice");
    expect(vm.desired.get(idOf("b"))?.generation).toBe(1n);
  });

  it("stops, with nothing to take back, when its canaries end", async () => {
    const rollout = await rekey();
    await desired("a", 2n);
    vm.report(idOf("a"), AgentPhase.AGENT_PHASE_COMPLETED, { how: { $case: "code", value: 0 } });
    expect((await reaches(rollout, STOPPED)).canary?.reason).toBe("its canaries are over");
  });

  it("is led on by another replica when the one that accepted it is gone", async () => {
    const rollout = await rekey();
    await desired("a", 2n);
    const other = await startRotation({ catalog: fleet.catalog, beside: fleet.rotation });
    try {
      // The first stops without its database, which it made.
      fleet.rotation.interrupt();
      vm.close();
      await fleet.rotation.database.pool.query(
        `update rotation.canaries set stage_until = clock_timestamp() where rollout_id = $1`,
        [rollout.rolloutId],
      );
      const by = other.clients(fleet.catalog.developer({ tenantId: "t1" }));
      await eventually(async () => {
        const now = await by.rollouts.getRollout({ rolloutId: rollout.rolloutId });
        expect(now.rollout?.canary?.stage).toBe(ROLLED_BACK);
      });
    } finally {
      await other.stop();
    }
  });

  it("sends no health check that somebody else wrote into the table", async () => {
    await rekey();
    await desired("a", 2n);
    await fleet.rotation.database.pool.query(
      `update rotation.agents set health_check = jsonb_set(health_check, '{argv}', '["evil"]')
       where agent_id = $1`,
      [idOf("a")],
    );
    await fleet.rekey("a");
    await desired("a", 3n);
    expect(vm.desired.get(idOf("a"))?.healthCheck).toBeUndefined();
  });

  it("returns the first rollout to a repeated request id, and refuses it for other canaries", async () => {
    const first = await rekey(wish(), "again");
    expect((await rekey(wish(), "again")).rolloutId).toBe(first.rolloutId);
    await expect(rekey(wish({ thenWaitMs: 1n }), "again")).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    });
  });

  it.each<[string, Partial<CanaryWish>]>([
    ["canary.size", { size: undefined }],
    ["canary.agents", { size: { $case: "agents", value: 0 } }],
    ["canary.percent", { size: { $case: "percent", value: 101 } }],
    ["canary.health", { health: { argv: [] } }],
    ["canary.health_timeout_ms", { healthTimeoutMs: 600_001 }],
    ["canary.then_wait_ms", { thenWaitMs: -1n }],
  ])("refuses a wrong %s by its name", async (field, change) => {
    await expect(rekey(wish(change))).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      metadata: { field },
    });
  });
});
