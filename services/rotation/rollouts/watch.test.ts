import { randomUUID } from "node:crypto";
import { AgentPhase, ReloadOutcome } from "../../../gen/murmur/rotation/v1/agents";
import {
  RolloutState,
  TargetState,
  type WatchRolloutResponse,
} from "../../../gen/murmur/rotation/v1/rollouts";
import type { ScriptedVm } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";

describe("watching and listing rollouts", () => {
  let fleet: Fleet;
  let vm: ScriptedVm;

  beforeAll(async () => {
    fleet = await startFleet();
    vm = await fleet.connect(fleet.machine("vm-1"));
  });
  afterAll(() => fleet.stop());

  const collect = (rolloutId: string, signal?: AbortSignal) => {
    const seen: WatchRolloutResponse[] = [];
    const done = (async () => {
      const control = signal ? { signal } : {};
      for await (const message of fleet.owner.rollouts.watchRollout({ rolloutId }, control))
        seen.push(message);
    })();
    done.catch(() => undefined);
    return { seen, done };
  };

  it("begins with everything, goes on with what changed, and ends when all is settled", async () => {
    const parent = await fleet.spawn("parent");
    const child = await fleet.spawn("child", { parentAgentId: parent.agentId });
    const { rollout } = await fleet.rekey("parent");
    const { seen, done } = collect(rollout?.rolloutId ?? "");
    await eventually(() => {
      expect(seen[0]?.targets.map(({ path }) => path)).toEqual(["parent", "parent/child"]);
      expect(vm.desired.get(child.agentId)?.generation).toBe(2n);
    });
    vm.ack(child.agentId);
    // The rollout's count may come in a message after that of its target.
    const changed = () => seen.slice(1).flatMap(({ targets }) => targets.map(({ path }) => path));
    await eventually(() => {
      expect(changed()).toEqual(["parent/child"]);
    });
    vm.ack(parent.agentId);
    await done;
    expect(changed()).toEqual(["parent/child", "parent"]);
    expect(seen.at(-1)).toMatchObject({
      rollout: { state: RolloutState.ROLLOUT_STATE_COMPLETED, targetsApplied: 2 },
    });
    const last = seen.flatMap(({ targets }) => targets).at(-1);
    expect(last).toMatchObject({ path: "parent", state: TargetState.TARGET_STATE_APPLIED });
    expect(seen.at(-1)?.rollout?.completedAt).toBeInstanceOf(Date);
  });

  it("always ends with the completed rollout, whenever the last ack comes in", async () => {
    const agent = await fleet.spawn("often");
    for (let generation = 2n; generation < 42n; generation++) {
      const { rollout } = await fleet.rekey("often");
      const { seen, done } = collect(rollout?.rolloutId ?? "");
      await eventually(
        () => {
          expect(vm.desired.get(agent.agentId)?.generation).toBe(generation);
        },
        { everyMs: 1 },
      );
      vm.ack(agent.agentId);
      await done;
      expect(seen.at(-1)?.rollout?.state).toBe(RolloutState.ROLLOUT_STATE_COMPLETED);
    }
  }, 180_000);

  it("tells how the programs of an agent were told of its set, while others are late", async () => {
    const { agentId } = await fleet.spawn("told");
    await fleet.spawn("late", { parentAgentId: agentId });
    const { rollout } = await fleet.rekey("told");
    const controller = new AbortController();
    const { seen, done } = collect(rollout?.rolloutId ?? "", controller.signal);
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(2n);
    });
    vm.ack(agentId);
    const reload = { generation: 2n, reason: "hook: exit 3", at: undefined };
    const outcome = ReloadOutcome.RELOAD_OUTCOME_FAILED;
    const phase = AgentPhase.AGENT_PHASE_RUNNING;
    await eventually(() => {
      expect(seen.at(-1)?.rollout?.targetsApplied).toBe(1);
    });
    const report = { agentId, phase, exitStatus: undefined, processes: [] };
    vm.send({ agents: [{ ...report, reload: { ...reload, outcome } }] });
    await eventually(() => {
      expect(seen.at(-1)?.targets).toMatchObject([{ path: "told", reload: { outcome } }]);
    });
    controller.abort();
    await expect(done).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("of a rollout that is over shows it once and ends", async () => {
    const agent = await fleet.spawn("past");
    const { rollout } = await fleet.rekey("past");
    await eventually(() => {
      expect(vm.desired.get(agent.agentId)?.generation).toBe(2n);
    });
    vm.ack(agent.agentId);
    await fleet.settled(rollout?.rolloutId ?? "");
    const { seen, done } = collect(rollout?.rolloutId ?? "");
    await done;
    expect(seen).toHaveLength(1);
  });

  it("is left behind without a trace by a client that vanishes", async () => {
    await fleet.spawn("left");
    const { rollout } = await fleet.rekey("left");
    const controller = new AbortController();
    const { seen, done } = collect(rollout?.rolloutId ?? "", controller.signal);
    await eventually(() => {
      expect(seen).not.toEqual([]);
    });
    controller.abort();
    await expect(done).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it.each(["", "no-uuid", randomUUID()])("of %j answers NOT_FOUND", async (rolloutId) => {
    await expect(collect(rolloutId).done).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: `no rollout "${rolloutId}"`,
    });
    await expect(fleet.owner.rollouts.getRollout({ rolloutId })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });

  it("lists the newest first, page by page, without a gap or a double", async () => {
    await fleet.spawn("listed");
    const made: (string | undefined)[] = [];
    for (let n = 0; n < 5; n++) made.push((await fleet.rekey("listed")).rollout?.rolloutId);
    const listed: string[] = [];
    let pageToken = "";
    do {
      const page = await fleet.owner.rollouts.listRollouts({
        ...{ workspace: "backend", pageSize: 2, pageToken },
      });
      listed.push(...page.rollouts.map(({ rolloutId }) => rolloutId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(listed.slice(0, 5)).toEqual(made.reverse());
    expect(new Set(listed).size).toBe(listed.length);
  });
});
