import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { createMachineAgents } from "../../../test/harness/machine-agents";

describe("VMs as rotation sees them", () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await startFleet();
  });

  afterAll(() => fleet.stop());

  const { machineWithAgent, rekey, target } = createMachineAgents(() => fleet);

  it("are listed: last contact, and who is behind", async () => {
    const { machine, path } = await machineWithAgent();
    const vm = await fleet.connect(machine, { isObedient: true });
    const status = async () => {
      const { vms } = await fleet.owner.vmSync.listVmStatuses({});
      return vms.find(({ vmId }) => vmId === machine.id);
    };
    await eventually(async () => {
      expect(await status()).toMatchObject({ connected: true, agentsLiving: 1, agentsBehind: 0 });
    });
    vm.close();
    await eventually(async () => {
      expect(await status()).toMatchObject({ connected: false });
    });
    const rolloutId = await rekey(path);
    expect(await status()).toMatchObject({ agentsBehind: 1 });
    expect((await target(rolloutId))?.reason).toMatch(
      new RegExp(`^VM "${machine.name}" is offline, last seen 20`),
    );
  });

  it("tells of a VM that was never there that it has never connected", async () => {
    const { path, machine } = await machineWithAgent();
    expect((await target(await rekey(path)))?.reason).toBe(
      `VM "${machine.name}" has never connected`,
    );
  });

  it("hears a heartbeat each second with the age of this replica's view", async () => {
    const { machine } = await machineWithAgent();
    const vm = await fleet.connect(machine);
    await eventually(() => {
      const beats = vm.received.filter(({ message }) => message?.$case === "heartbeat");
      expect(beats.length).toBeGreaterThanOrEqual(2);
      const beat = beats.at(-1);
      if (beat?.message?.$case !== "heartbeat") throw new Error("not a heartbeat");
      expect(Number(beat.message.value.watermarkAgeMs)).toBeLessThan(1_000);
    });
  });
});
