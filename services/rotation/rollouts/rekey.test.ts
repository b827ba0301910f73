import { randomUUID } from "node:crypto";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { RolloutState, TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { AckOutcome } from "../../../gen/murmur/rotation/v1/vm_sync";
import { unavailable } from "../../../lib/errors";
import type { ScriptedVm } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";

describe("rekey", () => {
  let fleet: Fleet;
  let vm: ScriptedVm;

  beforeAll(async () => {
    fleet = await startFleet();
    const machine = fleet.machine("vm-1");
    fleet.machine("vm-2");
    fleet.catalog.workspaces.set("t1/backend", ["vm-1"]);
    vm = await fleet.connect(machine, { isObedient: true });
  });

  afterAll(() => fleet.stop());

  const running = async (path: string) =>
    eventually(async () => {
      const { agent } = await fleet.owner.agents.getAgent({ workspace: "backend", path });
      expect(agent).toMatchObject({ phase: AgentPhase.AGENT_PHASE_RUNNING, appliedGeneration: 1n });
    });

  it("brings the agent and every living descendant to a new generation, and says so", async () => {
    const parent = await fleet.spawn("tree");
    const child = await fleet.spawn("child", { parentAgentId: parent.agentId });
    const grandchild = await fleet.spawn("grand", { parentAgentId: child.agentId });
    await running("tree/child/grand");
    const { rollout } = await fleet.rekey("tree");
    const seen = await fleet.settled(rollout?.rolloutId ?? "");
    expect(seen.rollout).toMatchObject({
      state: RolloutState.ROLLOUT_STATE_COMPLETED,
      targetsTotal: 3,
      targetsApplied: 3,
      path: "tree",
      requestedBy: "github/alice",
    });
    expect([...seen.targets.keys()]).toEqual(["tree", "tree/child", "tree/child/grand"]);
    expect(vm.desired.get(grandchild.agentId)).toMatchObject({
      generation: 2n,
      path: "tree/child/grand",
      developer: "github/alice",
    });
  });

  it("asks the catalog once for the whole tree", async () => {
    const parent = await fleet.spawn("once");
    await fleet.spawn("child", { parentAgentId: parent.agentId });
    const before = fleet.catalog.snapshots.length;
    await fleet.rekey("once");
    const asked = fleet.catalog.snapshots.slice(before);
    expect(asked.map((it) => it.agents.map(({ path }) => path))).toEqual([["once", "once/child"]]);
  });

  it("reaches only the subtree of the agent that was named", async () => {
    const parent = await fleet.spawn("partial");
    await fleet.spawn("child", { parentAgentId: parent.agentId });
    const { targets } = await fleet.rekey("partial/child");
    expect(targets.map(({ path }) => path)).toEqual(["partial/child"]);
  });

  it("names slug and workspace of an agent that is not there", async () => {
    await expect(fleet.rekey("fix-auth")).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: 'no agent "fix-auth" in workspace "backend"',
      metadata: { slug: "fix-auth", workspace: "backend" },
    });
  });

  it("refuses an agent that is over, by its phase", async () => {
    const agent = await fleet.spawn("over");
    vm.report(agent.agentId, AgentPhase.AGENT_PHASE_COMPLETED, {
      how: { $case: "code", value: 0 },
    });
    await eventually(async () => {
      await expect(fleet.rekey("over")).rejects.toMatchObject({
        code: "FAILED_PRECONDITION",
        message: 'agent "over" is completed',
        metadata: { phase: "completed" },
      });
    });
  });

  it("skips what is over and reaches what lives below it", async () => {
    const parent = await fleet.spawn("half");
    await fleet.spawn("child", { parentAgentId: parent.agentId });
    await running("half/child");
    vm.report(parent.agentId, AgentPhase.AGENT_PHASE_FAILED, { how: { $case: "code", value: 3 } });
    await eventually(async () => {
      const { agent } = await fleet.owner.agents.getAgent({ workspace: "backend", path: "half" });
      expect(agent?.phase).toBe(AgentPhase.AGENT_PHASE_FAILED);
    });
    const { rollout } = await fleet.rekey("half");
    const { targets } = await fleet.settled(rollout?.rolloutId ?? "");
    expect(targets.get("half")).toMatchObject({
      state: TargetState.TARGET_STATE_SKIPPED,
      reason: "failed",
    });
    expect(targets.get("half/child")?.state).toBe(TargetState.TARGET_STATE_APPLIED);
  });

  it("refuses a VM, with the words that the CLI shows", async () => {
    const machine = fleet.machine("vm-3");
    const { rollouts } = fleet.rotation.clients(machine.credentials);
    const request = { workspace: "backend", path: "tree", requestId: "x", reason: "" };
    await expect(rollouts.rekeyAgent(request)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: "rekey is not supported on VMs",
    });
  });

  it("lets a member rekey own agents only, an admin all", async () => {
    await fleet.spawn("alices");
    const request = { workspace: "backend", path: "alices", requestId: randomUUID(), reason: "" };
    const bob = fleet.developer("github/bob");
    await expect(bob.rollouts.rekeyAgent(request)).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
    });
    await fleet.developer("github/alice").rollouts.rekeyAgent(request);
    const carol = fleet.developer("github/carol", "admin");
    await carol.rollouts.rekeyAgent({ ...request, requestId: randomUUID() });
  });

  it("returns the first rollout to a repeated request id, without another snapshot", async () => {
    await fleet.spawn("again");
    const first = await fleet.rekey("again", "same");
    const asked = fleet.catalog.snapshots.length;
    const second = await fleet.rekey("again", "same");
    expect(second.rollout?.rolloutId).toBe(first.rollout?.rolloutId);
    expect(fleet.catalog.snapshots.length).toBe(asked);
  });

  it("makes one rollout of the same request sent many times at once", async () => {
    await fleet.spawn("storm");
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => fleet.rekey("storm", "storm-1")),
    );
    expect(new Set(answers.map(({ rollout }) => rollout?.rolloutId)).size).toBe(1);
    const { rollouts } = await fleet.owner.rollouts.listRollouts({
      workspace: "backend",
      pageSize: 1000,
      pageToken: "",
    });
    expect(rollouts.filter(({ path }) => path === "storm")).toHaveLength(1);
  });

  it("refuses a request id that was used for something else", async () => {
    await fleet.spawn("one");
    await fleet.spawn("two");
    await fleet.rekey("one", "taken");
    await expect(fleet.rekey("two", "taken")).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      metadata: { request_id: "taken" },
      violations: [{ field: "request_id" }],
    });
  });

  it("finishes two rekeys at once, and the later generation wins", async () => {
    const agent = await fleet.spawn("race");
    const both = await Promise.all([fleet.rekey("race"), fleet.rekey("race")]);
    const seen = await Promise.all(
      both.map(({ rollout }) => fleet.settled(rollout?.rolloutId ?? "")),
    );
    for (const { targets } of seen)
      expect(targets.get("race")?.state).toBe(TargetState.TARGET_STATE_APPLIED);
    const generations = seen.map(({ targets }) => targets.get("race")?.generation ?? 0n);
    const latest = generations.reduce((a, b) => (a > b ? a : b));
    await eventually(() => {
      expect(vm.applied.get(agent.agentId)?.generation).toBe(latest);
    });
  });

  it("lets no rekey move an agent back when the earlier snapshot is committed last", async () => {
    const agent = await fleet.spawn("slow");
    await running("slow");
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let isFirst = true;
    fleet.catalog.afterSnapshot = async () => {
      if (!isFirst) return;
      isFirst = false;
      await held;
    };
    const slow = fleet.rekey("slow");
    await eventually(() => {
      expect(isFirst).toBe(false);
    });
    const quick = await fleet.rekey("slow");
    await fleet.settled(quick.rollout?.rolloutId ?? "");
    release();
    const late = await slow;
    fleet.catalog.afterSnapshot = () => undefined;
    expect(late.targets[0]).toMatchObject({
      generation: 2n,
      state: TargetState.TARGET_STATE_APPLIED,
    });
    const { agent: now } = await fleet.owner.agents.getAgent({
      workspace: "backend",
      path: "slow",
    });
    expect(now).toMatchObject({ desiredGeneration: 3n, appliedGeneration: 3n });
    expect(vm.desired.get(agent.agentId)?.generation).toBe(3n);
  });

  it("makes the failure of an older generation history", async () => {
    const quiet = await fleet.connect(fleet.machine("vm-quiet"));
    const { agentId } = await fleet.spawn("failing", { vm: "vm-quiet" });
    const failed = async () => {
      const { rows } = await fleet.rotation.database.pool.query<{ failed: bigint | null }>(
        `select failed_generation as failed from rotation.agents where agent_id = $1`,
        [agentId],
      );
      return rows[0]?.failed;
    };
    await eventually(() => {
      expect(quiet.desired.has(agentId)).toBe(true);
    });
    quiet.ack(agentId, { outcome: AckOutcome.ACK_OUTCOME_FAILED, reason: "swap: no space" });
    await eventually(async () => {
      expect(await failed()).toBe(1n);
    });
    await fleet.rekey("failing");
    expect(await failed()).toBeNull();
  });

  it("writes who did it, in the same transaction", async () => {
    await fleet.spawn("audited");
    const { rollout } = await fleet.rekey("audited");
    const { rows } = await fleet.rotation.database.pool.query(
      "select actor_kind, actor_id, action, outcome from rotation.audit where object_id = $1",
      [rollout?.rolloutId],
    );
    expect(rows).toEqual([
      { actor_kind: "developer", actor_id: "github/alice", action: "agent.rekey", outcome: "ok" },
    ]);
  });

  it("leaves nothing behind when the catalog refuses, and works when repeated", async () => {
    await fleet.spawn("refused");
    fleet.catalog.beforeSnapshot = () => {
      throw new Error("broken");
    };
    await expect(fleet.rekey("refused", "retry-me")).rejects.toMatchObject({ code: "INTERNAL" });
    fleet.catalog.beforeSnapshot = () => undefined;
    const { rollout } = await fleet.rekey("refused", "retry-me");
    expect(rollout).toMatchObject({ path: "refused", targetsTotal: 1 });
  });

  describe("whose snapshot was taken and whose answer was lost", () => {
    const loseAnswer = async (path: string, requestId: string) => {
      fleet.catalog.afterSnapshot = () => {
        throw unavailable("gone");
      };
      await expect(fleet.rekey(path, requestId)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      fleet.catalog.afterSnapshot = () => undefined;
    };
    const askedFor = (path: string) =>
      fleet.catalog.snapshots.filter(
        ({ agents, requestId }) => requestId.startsWith("rekey:") && agents[0]?.path === path,
      );

    it("takes the same snapshot when it is repeated", async () => {
      await fleet.spawn("lost");
      await loseAnswer("lost", "lost-1");
      const { targets } = await fleet.rekey("lost", "lost-1");
      expect(targets).toMatchObject([{ path: "lost", generation: 2n }]);
      expect(new Set(askedFor("lost").map(({ requestId }) => requestId)).size).toBe(1);
    });

    it("reaches who was spawned before it is repeated", async () => {
      const parent = await fleet.spawn("grown");
      await loseAnswer("grown", "grown-1");
      await fleet.spawn("child", { parentAgentId: parent.agentId });
      const { targets } = await fleet.rekey("grown", "grown-1");
      expect(targets.map(({ path, generation }) => [path, generation])).toEqual([
        ["grown", 3n],
        ["grown/child", 2n],
      ]);
    });
  });

  it("warns of names that the workspace refers to and that are not there", async () => {
    fleet.catalog.missingNames = ["ABSENT"];
    await fleet.spawn("warned");
    const { warnings } = await fleet.rekey("warned");
    fleet.catalog.missingNames = [];
    expect(warnings).toEqual([
      'secret "ABSENT" in secret_refs of workspace "backend" does not exist',
    ]);
  });

  it.each([
    ["request_id", { requestId: "x".repeat(129) }],
    ["reason", { reason: "é".repeat(513) }],
    ["reason", { reason: "a\0b" }],
  ])("refuses a wrong %s by its name", async (field, change) => {
    const request = { workspace: "backend", path: "tree", requestId: "", reason: "", ...change };
    await expect(fleet.owner.rollouts.rekeyAgent(request)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      metadata: { field },
    });
  });
});
