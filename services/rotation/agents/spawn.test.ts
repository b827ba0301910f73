import { randomUUID } from "node:crypto";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { AgentWish } from "../../../gen/murmur/rotation/v1/vm_sync";
import { unavailable } from "../../../lib/errors";
import type { FakeVm } from "../../../test/fakes/fake-catalog";
import { spawnRequest, type ScriptedVm } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { createAgentBindings } from "./agent-bindings";

describe("spawn", () => {
  let fleet: Fleet;
  let machine: FakeVm;
  let vm: ScriptedVm;

  beforeAll(async () => {
    fleet = await startFleet();
    machine = fleet.machine("vm-1");
    fleet.machine("vm-2");
    fleet.catalog.workspaces.set("t1/backend", ["vm-1"]);
    vm = await fleet.connect(machine);
  });

  afterAll(() => fleet.stop());

  const get = (path: string) => fleet.owner.agents.getAgent({ workspace: "backend", path });

  it("tells the VM everything that it needs to start the agent", async () => {
    const agent = await fleet.spawn("told", { command: ["/bin/echo", "a b", "ü"] });
    await eventually(() => {
      expect(vm.desired.get(agent.agentId)).toMatchObject({
        workspace: "backend",
        path: "told",
        wish: AgentWish.AGENT_WISH_RUN,
        generation: 1n,
        command: ["/bin/echo", "a b", "ü"],
        phase: AgentPhase.AGENT_PHASE_STARTING,
        developer: "github/alice",
      });
    });
    expect(vm.desired.get(agent.agentId)?.fingerprint).toHaveLength(32);
  });

  it("answers a repeated request with the same agent and no second snapshot", async () => {
    const request = spawnRequest({ workspace: "backend", slug: "repeat" });
    const first = await fleet.owner.agents.spawnAgent(request);
    const asked = fleet.catalog.snapshots.length;
    const second = await fleet.owner.agents.spawnAgent(request);
    expect(second.agent?.agentId).toBe(first.agent?.agentId);
    expect(fleet.catalog.snapshots.length).toBe(asked);
  });

  it("refuses an agent id that was used for another agent", async () => {
    const request = spawnRequest({ workspace: "backend", slug: "first-use" });
    await fleet.owner.agents.spawnAgent(request);
    await expect(
      fleet.owner.agents.spawnAgent({ ...request, slug: "second-use" }),
    ).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
  });

  it("keeps a slug unique among the living and frees it at the end", async () => {
    const first = await fleet.spawn("unique");
    await expect(fleet.spawn("unique")).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
      reason: ErrorReason.ERROR_REASON_AGENT_EXISTS,
      message: 'agent "unique" already exists in workspace "backend"',
    });
    vm.report(first.agentId, AgentPhase.AGENT_PHASE_COMPLETED, {
      how: { $case: "code", value: 0 },
    });
    const second = await eventually(() => fleet.spawn("unique"));
    expect((await get("unique")).agent?.agentId).toBe(second.agentId);
  });

  it("lets children of different parents have the same slug", async () => {
    const one = await fleet.spawn("mum");
    const other = await fleet.spawn("dad");
    await fleet.spawn("kid", { parentAgentId: one.agentId });
    await fleet.spawn("kid", { parentAgentId: other.agentId });
    expect((await get("mum/kid")).agent?.parentAgentId).toBe(one.agentId);
    expect((await get("dad/kid")).agent?.parentAgentId).toBe(other.agentId);
  });

  it("takes the row back when the catalog is away, so that the slug is free for the next try", async () => {
    fleet.catalog.beforeSnapshot = () => {
      throw unavailable("key provider is away", undefined, 200);
    };
    const request = spawnRequest({ workspace: "backend", slug: "later" });
    await expect(fleet.owner.agents.spawnAgent(request)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      retryAfterMs: 200,
    });
    fleet.catalog.beforeSnapshot = () => undefined;
    await expect(get("later")).rejects.toMatchObject({ code: "NOT_FOUND" });
    const { agent } = await fleet.owner.agents.spawnAgent(request);
    expect(agent?.agentId).toBe(request.agentId);
    await fleet.spawn("another");
  });

  it("ends an agent that is killed while its first snapshot is taken, and the VM never hears of it", async () => {
    let killed = false;
    fleet.catalog.beforeSnapshot = async () => {
      if (killed) return;
      killed = true;
      await fleet.owner.agents.killAgent({
        workspace: "backend",
        path: "stillborn",
        callerAgentId: "",
      });
    };
    const agent = await fleet.spawn("stillborn");
    fleet.catalog.beforeSnapshot = () => undefined;
    expect(agent).toMatchObject({ phase: AgentPhase.AGENT_PHASE_CANCELLED, desiredGeneration: 0n });
    expect(vm.desired.has(agent.agentId)).toBe(false);
  });

  it("lets no child be born below a parent whose end was asked for", async () => {
    const parent = await fleet.spawn("doomed");
    await fleet.owner.agents.killAgent({
      workspace: "backend",
      path: "doomed",
      callerAgentId: "",
    });
    await expect(fleet.spawn("child", { parentAgentId: parent.agentId })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: 'agent "doomed" is cancelled',
    });
  });

  it("adds an agent to the open rollout of its ancestor", async () => {
    const parent = await fleet.spawn("open");
    const { rollout } = await fleet.rekey("open");
    const child = await fleet.spawn("late", { parentAgentId: parent.agentId });
    const { targets } = await fleet.owner.rollouts.getRollout({
      rolloutId: rollout?.rolloutId ?? "",
    });
    expect(targets.map(({ path, generation }) => [path, generation])).toEqual([
      ["open", 2n],
      ["open/late", 1n],
    ]);
    await eventually(() => {
      expect(vm.desired.get(child.agentId)?.generation).toBe(1n);
      expect(vm.desired.get(parent.agentId)?.generation).toBe(2n);
    });
    vm.ack(parent.agentId);
    vm.ack(child.agentId);
    const seen = await fleet.settled(rollout?.rolloutId ?? "");
    expect(seen.targets.get("open/late")?.state).toBe(TargetState.TARGET_STATE_APPLIED);
  });

  it("adds an agent to what is open above it although a rekey gave it its first generation", async () => {
    const parent = await fleet.spawn("above");
    const { rollout } = await fleet.rekey("above");
    let rekeyed: Promise<unknown> | undefined;
    fleet.catalog.beforeSnapshot = async ({ requestId }) => {
      if (!requestId.endsWith(":spawn")) return;
      rekeyed = fleet.rekey("above/below");
      await rekeyed;
      throw unavailable("key provider is away");
    };
    const spawned = fleet.spawn("below", { parentAgentId: parent.agentId });
    await expect(spawned).rejects.toMatchObject({ code: "UNAVAILABLE" });
    fleet.catalog.beforeSnapshot = () => undefined;
    const { targets } = await fleet.owner.rollouts.getRollout({
      rolloutId: rollout?.rolloutId ?? "",
    });
    expect(targets.map(({ path }) => path)).toEqual(["above", "above/below"]);
  });

  it("misses no agent that is spawned while its parent is rekeyed", async () => {
    const parent = await fleet.spawn("during");
    const spawns: Promise<unknown>[] = [];
    fleet.catalog.beforeSnapshot = (request) => {
      if (!request.requestId.startsWith("rekey:") || spawns.length > 0) return;
      spawns.push(fleet.spawn("newborn", { parentAgentId: parent.agentId }));
    };
    const { rollout } = await fleet.rekey("during");
    await Promise.all(spawns);
    fleet.catalog.beforeSnapshot = () => undefined;
    const { targets } = await fleet.owner.rollouts.getRollout({
      rolloutId: rollout?.rolloutId ?? "",
    });
    expect(targets.map(({ path }) => path)).toEqual(["during", "during/newborn"]);
  });

  describe("by a VM", () => {
    it("makes a child beside its parent that inherits workspace and developer", async () => {
      const parent = await fleet.spawn("host");
      const { agents } = fleet.rotation.clients(machine.credentials);
      const request = spawnRequest({ workspace: "", slug: "guest", parentAgentId: parent.agentId });
      const { agent } = await agents.spawnAgent(request);
      expect(agent).toMatchObject({
        path: "host/guest",
        workspace: "backend",
        developer: "github/alice",
        vmName: "vm-1",
      });
    });

    it("is refused below an agent of another VM, as if that agent were not there", async () => {
      const parent = await fleet.spawn("elsewhere", { vm: "vm-2" });
      const { agents } = fleet.rotation.clients(machine.credentials);
      const request = spawnRequest({ workspace: "", slug: "x", parentAgentId: parent.agentId });
      await expect(agents.spawnAgent(request)).rejects.toMatchObject({ code: "NOT_FOUND" });
    });

    it.each([
      ["workspace", { workspace: "other" }],
      ["vm", { vm: "vm-2" }],
    ])("is refused with another %s than its parent's", async (field, change) => {
      const parent = await fleet.spawn(`strict-${field}`);
      const { agents } = fleet.rotation.clients(machine.credentials);
      const request = {
        ...spawnRequest({ workspace: "", slug: "x", parentAgentId: parent.agentId }),
        ...change,
      };
      await expect(agents.spawnAgent(request)).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        metadata: { field },
      });
    });

    it("makes no root of a tree", async () => {
      const { agents } = fleet.rotation.clients(machine.credentials);
      const request = spawnRequest({ workspace: "backend", slug: "root" });
      await expect(agents.spawnAgent(request)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    });
  });

  describe("placing", () => {
    it("takes the VM that was named", async () => {
      expect(await fleet.spawn("placed", { vm: "vm-2" })).toMatchObject({ vmName: "vm-2" });
    });

    it("names a VM that is not there", async () => {
      await expect(fleet.spawn("nowhere", { vm: "vm-9" })).rejects.toMatchObject({
        code: "NOT_FOUND",
        reason: ErrorReason.ERROR_REASON_VM_NOT_FOUND,
        message: 'no VM "vm-9"',
      });
    });

    it("takes the workspace's VM with the fewest living agents", async () => {
      const [a, b] = [fleet.machine("pool-a", "t2"), fleet.machine("pool-b", "t2")];
      fleet.catalog.workspaces.set("t2/pool", [b.name, a.name]);
      const { agents } = fleet.developer("github/tom", "owner", "t2");
      const places: (string | undefined)[] = [];
      for (const slug of ["one", "two", "three"]) {
        const { agent } = await agents.spawnAgent(spawnRequest({ workspace: "pool", slug }));
        places.push(agent?.vmName);
      }
      expect(places).toEqual(["pool-a", "pool-b", "pool-a"]);
    });

    it("lists the VMs when there are several and nothing to choose by", async () => {
      fleet.catalog.workspaces.set("t2/free", []);
      const { agents } = fleet.developer("github/tom", "owner", "t2");
      await expect(
        agents.spawnAgent(spawnRequest({ workspace: "free", slug: "x" })),
      ).rejects.toMatchObject({
        code: "FAILED_PRECONDITION",
        reason: ErrorReason.ERROR_REASON_VM_AMBIGUOUS,
        message: "several VMs to choose from, name one: pool-a, pool-b",
        metadata: { vms: "pool-a,pool-b" },
      });
    });

    it("passes on that the workspace is not there", async () => {
      await expect(fleet.spawn("x", { workspace: "absent" })).rejects.toMatchObject({
        code: "NOT_FOUND",
        reason: ErrorReason.ERROR_REASON_WORKSPACE_NOT_FOUND,
      });
    });
  });

  it.each([
    ["agent_id", { agentId: "not-a-uuid" }],
    ["workspace", { workspace: "Back End" }],
    ["slug", { slug: "Fix_Auth" }],
    ["slug", { slug: "a".repeat(64) }],
    ["vm", { vm: "VM 1" }],
    ["parent_agent_id", { parentAgentId: "x" }],
    ["command", { command: [] }],
    ["command", { command: [""] }],
    ["command", { command: ["/bin/sh", "a\0b"] }],
    ["command", { command: Array.from({ length: 1025 }, () => "x") }],
    ["command", { command: ["/bin/sh", "x".repeat(128 * 1024)] }],
    ["working_directory", { workingDirectory: "relative" }],
  ])("refuses a wrong %s by its name", async (field, change) => {
    const request = { ...spawnRequest({ workspace: "backend", slug: "ok" }), ...change };
    await expect(fleet.owner.agents.spawnAgent(request)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      metadata: { field },
    });
  });

  it("refuses an option for a command with the words of the daemon", async () => {
    const request = spawnRequest({ workspace: "backend", slug: "option", command: ["-c", "x"] });
    await expect(fleet.owner.agents.spawnAgent(request)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: "command must not begin with an option",
      metadata: { field: "command" },
    });
  });

  it("lists every wrong field at once", async () => {
    const request = { ...spawnRequest({ workspace: "", slug: "-" }), agentId: "" };
    await expect(fleet.owner.agents.spawnAgent(request)).rejects.toMatchObject({
      violations: [{ field: "agent_id" }, { field: "workspace" }, { field: "slug" }],
    });
  });

  it("gives an agent whose spawn was never finished its generation later", async () => {
    const agentId = randomUUID();
    const bindings = createAgentBindings({ signingKey: fleet.catalog.rotationKey });
    const bound = {
      ...{ tenantId: "t1", id: agentId, vmId: machine.id, workspace: "backend" },
      ...{ developer: "github/alice", parentId: undefined, expectsSpawnSecrets: false },
    };
    const launch = { tenantId: "t1", id: agentId, command: ["/bin/true"], workingDirectory: "" };
    await fleet.rotation.database.pool.query(
      `with tree as (insert into rotation.trees values ('t1', $1))
       insert into rotation.agents (tenant_id, agent_id, workspace, slug, path, root_id, vm_id,
         vm_name, developer, command, working_directory, request_hash, binding, launch_mac, created_at)
       values ('t1', $1, 'backend', 'orphan', 'orphan', $1, $2, 'vm-1', 'github/alice',
         '{/bin/true}', '', '', $3, $4, now() - interval '1 minute')`,
      [agentId, machine.id, bindings.macOf(bound), bindings.launchMacOf(launch)],
    );
    await eventually(() => {
      expect(vm.desired.get(agentId)).toMatchObject({
        ...{ path: "orphan", generation: 1n, command: ["/bin/true"] },
      });
    });
  });
});
