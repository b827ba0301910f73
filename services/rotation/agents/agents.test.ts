import { AgentPhase, HopState, type Hop } from "../../../gen/murmur/rotation/v1/agents";
import { TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { AckOutcome, AgentWish } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { FakeVm } from "../../../test/fakes/fake-catalog";
import type { ScriptedVm } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { allRefused } from "../../../test/harness/refusals";

describe("agents", () => {
  let fleet: Fleet;
  let machine: FakeVm;
  let vm: ScriptedVm;

  beforeAll(async () => {
    fleet = await startFleet();
    machine = fleet.machine("vm-1");
    fleet.machine("vm-2");
    fleet.catalog.workspaces.set("t1/backend", ["vm-1"]);
    fleet.catalog.workspaces.set("t1/pages", ["vm-1"]);
    vm = await fleet.connect(machine);
  });

  afterAll(() => fleet.stop());

  const named = (path: string) => ({ workspace: "backend", path });
  const kill = (path: string, by = fleet.owner) =>
    by.agents.killAgent({ ...named(path), callerAgentId: "" });

  describe("kill", () => {
    it("asks for the end of the agent and its whole child tree, on whichever VM", async () => {
      const parent = await fleet.spawn("tree");
      const child = await fleet.spawn("child", { parentAgentId: parent.agentId });
      await fleet.spawn("far", { parentAgentId: child.agentId, vm: "vm-2" });
      const { agents } = await kill("tree");
      expect(agents.map(({ path, killRequested }) => [path, killRequested])).toEqual([
        ["tree", true],
        ["tree/child", true],
        ["tree/child/far", true],
      ]);
      await eventually(() => {
        expect(vm.desired.get(child.agentId)?.wish).toBe(AgentWish.AGENT_WISH_END);
      });
    });

    it("may be repeated while the VM is at it, and is refused when the agent is over", async () => {
      const agent = await fleet.spawn("twice");
      await kill("twice");
      await kill("twice");
      vm.report(agent.agentId, AgentPhase.AGENT_PHASE_CANCELLED);
      await eventually(async () => {
        await expect(kill("twice")).rejects.toMatchObject({
          code: "FAILED_PRECONDITION",
          message: 'agent "twice" is cancelled',
        });
      });
    });

    it("settles the open targets of those who end", async () => {
      await fleet.spawn("target");
      const { rollout } = await fleet.rekey("target");
      await kill("target");
      const { targets } = await fleet.settled(rollout?.rolloutId ?? "");
      expect(targets.get("target")).toMatchObject({
        state: TargetState.TARGET_STATE_SKIPPED,
        reason: "cancelled",
      });
    });

    it("is for the developer of the tree, an admin or an owner", async () => {
      await fleet.spawn("guarded");
      await expect(kill("guarded", fleet.developer("github/bob"))).rejects.toMatchObject({
        code: "PERMISSION_DENIED",
      });
      await kill("guarded", fleet.developer("github/ann", "admin"));
    });

    it("lets a VM end descendants of the calling agent only", async () => {
      const parent = await fleet.spawn("boss");
      await fleet.spawn("help", { parentAgentId: parent.agentId });
      const bystander = await fleet.spawn("bystander");
      const { agents } = fleet.rotation.clients(machine.credentials);
      const from = (path: string, callerAgentId: string) =>
        agents.killAgent({ ...named(path), callerAgentId });
      const calls = [
        from("boss/help", bystander.agentId),
        from("boss", parent.agentId),
        from("boss/help", ""),
      ];
      await allRefused(calls, { code: "NOT_FOUND" });
      const killed = await from("boss/help", parent.agentId);
      expect(killed.agents.map(({ path }) => path)).toEqual(["boss/help"]);
    });
  });

  describe("get", () => {
    it("means the living one by slug, else the latest", async () => {
      const first = await fleet.spawn("again");
      vm.report(first.agentId, AgentPhase.AGENT_PHASE_COMPLETED, {
        how: { $case: "code", value: 0 },
      });
      const second = await eventually(() => fleet.spawn("again"));
      const get = async () => (await fleet.owner.agents.getAgent(named("again"))).agent;
      expect(await get()).toMatchObject({ agentId: second.agentId });
      vm.report(second.agentId, AgentPhase.AGENT_PHASE_FAILED, {
        how: { $case: "code", value: 1 },
      });
      await eventually(async () => {
        expect(await get()).toMatchObject({
          agentId: second.agentId,
          phase: AgentPhase.AGENT_PHASE_FAILED,
          exitStatus: { how: { $case: "code", value: 1 } },
        });
      });
    });

    it("shows a VM what lives on it, and not that there is anything else", async () => {
      const parent = await fleet.spawn("mixed");
      await fleet.spawn("near", { parentAgentId: parent.agentId });
      await fleet.spawn("far", { parentAgentId: parent.agentId, vm: "vm-2" });
      const { agents } = fleet.rotation.clients(machine.credentials);
      const { descendants } = await agents.getAgent(named("mixed"));
      expect(descendants.map(({ path }) => path)).toEqual(["mixed/near"]);
      await expect(agents.getAgent(named("mixed/far"))).rejects.toMatchObject({
        code: "NOT_FOUND",
      });
    });

    it.each(["", "a b", "x\0y", "ü", "/", "a".repeat(5000)])(
      "answers NOT_FOUND for a path that cannot be",
      async (path) => {
        await expect(fleet.owner.agents.getAgent(named(path))).rejects.toMatchObject({
          code: "NOT_FOUND",
        });
      },
    );
  });

  describe("list", () => {
    beforeAll(async () => {
      for (const slug of ["b", "a", "c"]) await fleet.spawn(slug, { workspace: "pages" });
    });
    const list = (change: Partial<Parameters<typeof fleet.owner.agents.listAgents>[0]>) =>
      fleet.owner.agents.listAgents({
        ...{ workspace: "pages", includeEnded: false, pageSize: 0, pageToken: "" },
        ...change,
      });

    it("goes by path, page by page, without a gap or a double", async () => {
      const first = await list({ pageSize: 2 });
      expect(first.agents.map(({ path }) => path)).toEqual(["a", "b"]);
      const second = await list({ pageSize: 2, pageToken: first.nextPageToken });
      expect(second.agents.map(({ path }) => path)).toEqual(["c"]);
      expect(second.nextPageToken).toBe("");
    });

    it("leaves out those who are over unless asked", async () => {
      const { agents } = await list({});
      const gone = agents.find(({ path }) => path === "c")?.agentId ?? "";
      vm.report(gone, AgentPhase.AGENT_PHASE_COMPLETED, { how: { $case: "code", value: 0 } });
      await eventually(async () => {
        expect((await list({})).agents.map(({ path }) => path)).toEqual(["a", "b"]);
      });
      expect((await list({ includeEnded: true })).agents).toHaveLength(3);
    });

    it.each([
      ["page_token", { pageToken: "garbled" }],
      ["page_token", { pageToken: Buffer.from('["agents","{}"]').toString("base64url") }],
      ["page_token", { pageToken: tokenWithNul() }],
      ["page_token", { pageToken: Buffer.from('["rollouts","1"]').toString("base64url") }],
      ["page_size", { pageSize: -1 }],
      ["page_size", { pageSize: 1001 }],
    ])("refuses a wrong %s by its name", async (field, change) => {
      await expect(list(change)).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        metadata: { field },
      });
    });
  });

  describe("explain", () => {
    const explain = (path: string) => fleet.owner.agents.explainAgent(named(path));
    const stuckAt = (hops: readonly Hop[]) =>
      hops.find(({ state }) => state !== HopState.HOP_STATE_DONE);

    it("names the hop that waits, and sums up when there is none", async () => {
      const agent = await fleet.spawn("why");
      await eventually(() => {
        expect(vm.desired.has(agent.agentId)).toBe(true);
      });
      const waiting = await explain("why");
      expect(waiting.hops.map(({ name }) => name)).toEqual([
        ...["desired", "announced", "vm", "fetched", "swapped", "acked"],
      ]);
      expect(stuckAt(waiting.hops)).toMatchObject({
        name: "fetched",
        state: HopState.HOP_STATE_WAITING,
      });
      vm.ack(agent.agentId);
      await eventually(async () => {
        const done = await explain("why");
        expect(stuckAt(done.hops)).toBeUndefined();
        expect(done.summary).toBe('agent "why" is on generation 1, as it should be');
      });
    });

    it("says what the VM said when a step failed", async () => {
      const agent = await fleet.spawn("broken");
      await eventually(() => {
        expect(vm.desired.has(agent.agentId)).toBe(true);
      });
      const outcome = AckOutcome.ACK_OUTCOME_FAILED;
      vm.ack(agent.agentId, { outcome, reason: "swap: no space left on device" });
      await eventually(async () => {
        const { hops, summary } = await explain("broken");
        expect(stuckAt(hops)).toMatchObject({
          name: "swapped",
          state: HopState.HOP_STATE_FAILED,
          detail: "swap: no space left on device",
        });
        expect(summary).toBe(
          'agent "broken" should be on generation 1 and has none that is known: swap: no space left on device',
        );
      });
    });

    it("says that the VM has never come", async () => {
      await fleet.spawn("lonely", { vm: "vm-2" });
      const { hops } = await explain("lonely");
      expect(stuckAt(hops)).toMatchObject({
        name: "vm",
        state: HopState.HOP_STATE_WAITING,
        detail: 'VM "vm-2" has never connected',
      });
    });

    it("says that an agent is over", async () => {
      const agent = await fleet.spawn("done");
      vm.report(agent.agentId, AgentPhase.AGENT_PHASE_COMPLETED, {
        how: { $case: "code", value: 0 },
      });
      await eventually(async () => {
        expect((await explain("done")).summary).toBe(
          'agent "done" is completed: it gets no new generation',
        );
      });
    });
  });

  it("whose VM is removed end, its stream too, and rollouts do not wait for them", async () => {
    const doomed = fleet.machine("vm-doomed");
    const agent = await fleet.spawn("doomed", { vm: "vm-doomed" });
    const stream = await fleet.connect(doomed);
    await eventually(() => {
      expect(stream.desired.has(agent.agentId)).toBe(true);
    });
    const { rollout } = await fleet.rekey("doomed");
    fleet.catalog.removeVm(doomed);
    expect(await stream.ended).toMatchObject({ code: "UNAUTHENTICATED" });
    const { targets } = await fleet.settled(rollout?.rolloutId ?? "");
    expect(targets.get("doomed")).toMatchObject({
      state: TargetState.TARGET_STATE_SKIPPED,
      reason: "VM was removed",
    });
    const again = await fleet.connect(doomed);
    expect(await again.ended).toMatchObject({ code: "UNAUTHENTICATED" });
    const { vms } = await fleet.owner.vmSync.listVmStatuses({});
    expect(vms.map(({ vmName }) => vmName)).not.toContain("vm-doomed");
  });

  it("on VMs that stay are rekeyed at once although another VM of the tree was just removed", async () => {
    const doomed = fleet.machine("vm-gone");
    const parent = await fleet.spawn("torn");
    await fleet.spawn("lost", { parentAgentId: parent.agentId, vm: "vm-gone" });
    fleet.catalog.removeVm(doomed);
    const { targets } = await fleet.rekey("torn");
    expect(targets.map(({ path, state }) => [path, state])).toEqual(
      expect.arrayContaining([["torn", TargetState.TARGET_STATE_PENDING]]) as unknown,
    );
  });

  it("let the catalog forget generations that nobody needs any more", async () => {
    const agent = await fleet.spawn("released");
    const releases = () =>
      fleet.catalog.releases.filter(({ agentId }) => agentId === agent.agentId);
    await eventually(() => {
      expect(releases().at(-1)).toMatchObject({ confirmed: 1n, ended: false });
    });
    vm.ack(agent.agentId);
    await eventually(() => {
      expect(releases().at(-1)).toMatchObject({ floor: 1n, confirmed: 1n });
    });
    await fleet.rekey("released");
    await eventually(() => {
      expect(vm.desired.get(agent.agentId)?.generation).toBe(2n);
    });
    vm.ack(agent.agentId);
    await eventually(() => {
      // The last change can still be undone.
      expect(releases().at(-1)).toMatchObject({ floor: 1n, confirmed: 2n });
    });
    vm.report(agent.agentId, AgentPhase.AGENT_PHASE_COMPLETED, {
      how: { $case: "code", value: 0 },
    });
    await eventually(() => {
      expect(releases().at(-1)).toMatchObject({ ended: true });
    });
  });
});

/** Its inner JSON hides the NUL from whoever looks at the key as one text. */
function tokenWithNul(): string {
  const key = JSON.stringify(["backend\0", "a", "0190a0b0-0000-7000-8000-000000000001"]);
  return Buffer.from(JSON.stringify(["agents", key])).toString("base64url");
}
