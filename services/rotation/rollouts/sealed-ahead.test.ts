import { toHello } from "../../../test/fakes/scripted-vm";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { eventually } from "../../../test/harness/eventually";

describe("a set that the catalog sealed ahead", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet();
    fleet.catalog.workspaces.set("t1/backend", ["vm-1"]);
  });
  afterAll(() => fleet.stop());

  it("reaches its VM before it is said what is desired", async () => {
    const vm = await fleet.connect(fleet.machine("vm-1"), { isObedient: true });
    const { agentId } = await fleet.spawn("ahead");
    await eventually(() => {
      expect(vm.applied.get(agentId)).toMatchObject({ generation: 1n });
    });
    const before = vm.received.length;
    const { rollout } = await fleet.rekey("ahead");
    await fleet.settled(rollout?.rolloutId ?? "");
    const told = vm.received.slice(before).flatMap(({ message }) => {
      return message && message.$case !== "heartbeat" ? [message] : [];
    });
    expect(told.map(({ $case }) => $case)).toEqual(["coming", "desired"]);
    const sealedAhead = Buffer.from(`sealed ${agentId} 2`);
    expect(told[0]?.value.agents).toEqual([{ agentId, generation: 2n, sealedAhead }]);
  });

  it("is in the answer to a VM that asks after the change, once", async () => {
    const name = "vm-that-asks";
    const machine = fleet.machine(name);
    const { agentId } = await fleet.spawn("asked", { vm: name });
    const { vmSync } = fleet.rotation.clients(machine.credentials);
    const hello = toHello({ client: vmSync }, new Map());
    await vmSync.syncVm({ hello, update: undefined });
    // It is kept for some seconds only, which a slow machine may take to ask.
    await eventually(async () => {
      await fleet.rekey("asked");
      const { desired, coming } = await vmSync.syncVm({ hello, update: undefined });
      const generation = desired?.agents[0]?.generation ?? 0n;
      const sealedAhead = Buffer.from(`sealed ${agentId} ${generation}`);
      expect(coming?.agents).toEqual([{ agentId, generation, sealedAhead }]);
    });
    const again = await vmSync.syncVm({ hello, update: undefined });
    expect(again.coming?.agents).toEqual([]);
  });
});
