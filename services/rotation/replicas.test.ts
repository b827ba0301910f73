import { AgentWish } from "../../gen/murmur/rotation/v1/vm_sync";
import { TargetState } from "../../gen/murmur/rotation/v1/rollouts";
import { eventually } from "../../test/harness/eventually";
import { startFleet, type Fleet } from "../../test/harness/fleet";
import { startRotation, type TestRotation } from "../../test/harness/rotation";

describe("two replicas on one database", () => {
  let fleet: Fleet;
  let other: TestRotation;

  beforeAll(async () => {
    fleet = await startFleet();
    other = await startRotation({ catalog: fleet.catalog, beside: fleet.rotation });
  });

  afterAll(async () => {
    await other.stop();
    await fleet.stop();
  });

  it("tell a VM on the one what was accepted by the other: spawn, rekey, kill", async () => {
    const machine = fleet.machine("vm-1");
    const vm = await fleet.connect(machine, { to: other });
    const agent = await fleet.spawn("far", { vm: "vm-1" });
    await eventually(() => {
      expect(vm.desired.get(agent.agentId)?.generation).toBe(1n);
    });
    await fleet.rekey("far");
    await eventually(() => {
      expect(vm.desired.get(agent.agentId)?.generation).toBe(2n);
    });
    await fleet.owner.agents.killAgent({ workspace: "backend", path: "far", callerAgentId: "" });
    await eventually(() => {
      expect(vm.desired.get(agent.agentId)?.wish).toBe(AgentWish.AGENT_WISH_END);
    });
  });

  it("show a watcher on the one the acks that came in through the other", async () => {
    const machine = fleet.machine("vm-2");
    await fleet.connect(machine, { to: other, isObedient: true });
    await fleet.spawn("watched", { vm: "vm-2" });
    const { rollout } = await fleet.rekey("watched");
    const { targets } = await fleet.settled(rollout?.rolloutId ?? "");
    expect(targets.get("watched")?.state).toBe(TargetState.TARGET_STATE_APPLIED);
  });

  it("let a VM move from one to the other in the middle of a rollout", async () => {
    const machine = fleet.machine("vm-3");
    const before = await fleet.connect(machine);
    const agent = await fleet.spawn("moving", { vm: "vm-3" });
    const { rollout } = await fleet.rekey("moving");
    await eventually(() => {
      expect(before.desired.get(agent.agentId)?.generation).toBe(2n);
    });
    before.close();
    await fleet.connect(machine, { to: other, isObedient: true, incarnationNumber: 2n });
    await fleet.settled(rollout?.rolloutId ?? "");
  });

  it("do not call a VM away that has moved when its old stream ends late", async () => {
    const machine = fleet.machine("vm-4");
    const before = await fleet.connect(machine);
    await eventually(() => {
      expect(before.received.length).toBeGreaterThan(0);
    });
    const after = await fleet.connect(machine, { to: other });
    await eventually(() => {
      expect(after.received.length).toBeGreaterThan(0);
    });
    const status = async (vmId: string) => {
      const { vms } = await fleet.owner.vmSync.listVmStatuses({});
      return vms.find((vm) => vm.vmId === vmId)?.connected;
    };
    // The end of a stream that began and ended after it tells when this one's has been noted.
    const later = fleet.machine("vm-4-later");
    const another = await fleet.connect(later);
    await eventually(async () => {
      expect(await status(later.id)).toBe(true);
    });
    before.close();
    await before.ended;
    another.close();
    await eventually(async () => {
      expect(await status(later.id)).toBe(false);
    });
    expect(await status(machine.id)).toBe(true);
  });

  it("lose nothing when the one that accepted a rollout is gone before any VM heard of it", async () => {
    const machine = fleet.machine("vm-5");
    await fleet.spawn("survivor", { vm: "vm-5" });
    const short = await startRotation({ catalog: fleet.catalog, beside: fleet.rotation });
    const clients = short.clients(fleet.catalog.developer({ tenantId: "t1" }));
    const { rollout } = await clients.rollouts.rekeyAgent({
      workspace: "backend",
      path: "survivor",
      requestId: "before-the-end",
      reason: "",
    });
    await short.stop();
    const vm = await fleet.connect(machine, { to: other, isObedient: true });
    const { targets } = await fleet.settled(rollout?.rolloutId ?? "");
    expect(targets.get("survivor")).toMatchObject({ generation: 2n });
    expect([...vm.applied.values()]).toMatchObject([{ generation: 2n }]);
  });

  it("say that a VM is away when the replica that it was on is gone without a word", async () => {
    const machine = fleet.machine("vm-6");
    await fleet.spawn("stranded", { vm: "vm-6" });
    const vm = await fleet.connect(machine);
    await eventually(() => {
      expect(vm.received.length).toBeGreaterThan(0);
    });
    const { pool } = fleet.rotation.database;
    await pool.query(
      `with gone as (insert into rotation.replicas values ('gone', now() - interval '1 minute'))
       update rotation.vms set replica_id = 'gone' where vm_id = $1`,
      [machine.id],
    );
    const { vms } = await fleet.owner.vmSync.listVmStatuses({});
    expect(vms.find(({ vmId }) => vmId === machine.id)?.connected).toBe(false);
  });
});
