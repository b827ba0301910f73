import { TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { AckOutcome, type Ack } from "../../../gen/murmur/rotation/v1/vm_sync";
import { toHello } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { createMachineAgents } from "../../../test/harness/machine-agents";

describe("what VMs say in one call", () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await startFleet();
  });

  afterAll(() => fleet.stop());

  const { machineWithAgent, get, rekey, target } = createMachineAgents(() => fleet);

  it("are answered with the whole desired state", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const { vmSync } = fleet.rotation.clients(machine.credentials);
    const hello = toHello({ client: vmSync }, new Map());
    const { desired } = await vmSync.syncVm({ hello, update: undefined });
    expect(desired).toMatchObject({ complete: true, agents: [{ agentId, generation: 1n }] });
    const fingerprint = desired?.agents[0]?.fingerprint ?? Buffer.alloc(0);
    const ack = {
      ...{ agentId, generation: 1n, fingerprint, outcome: AckOutcome.ACK_OUTCOME_APPLIED },
      ...{ reason: "", omittedNames: [], appliedAt: undefined },
    };
    await vmSync.syncVm({ hello, update: { acks: [ack], agents: [] } });
    expect(await get(path)).toMatchObject({ appliedGeneration: 1n });
  });

  it("are recorded when they say anything new, and questions that do not are answered", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const { vmSync } = fleet.rotation.clients(machine.credentials);
    const sync = async (set?: { generation: bigint; fingerprint: Buffer }) => {
      const applied = new Map(set ? [[agentId, set]] : []);
      const hello = toHello({ client: vmSync }, applied);
      return (await vmSync.syncVm({ hello, update: undefined })).desired?.agents[0];
    };
    const first = await sync();
    const standing = { generation: 1n, fingerprint: first?.fingerprint ?? Buffer.alloc(0) };
    await sync(standing);
    expect(await get(path)).toMatchObject({ appliedGeneration: 1n });
    await rekey(path);
    expect(await sync(standing)).toMatchObject({ generation: 2n });
    expect(await get(path)).toMatchObject({ appliedGeneration: 1n });
    // Another set than the catalog made is as good as none, and so is no set.
    expect(await sync({ ...standing, fingerprint: Buffer.alloc(32) })).toBeDefined();
    expect(await get(path)).toMatchObject({ appliedGeneration: 0n });
    await sync(standing);
    await sync();
    expect(await get(path)).toMatchObject({ appliedGeneration: 0n });
  });

  it("are believed of a set that stands by its ack, and close its target", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const { vmSync } = fleet.rotation.clients(machine.credentials);
    const applied = new Map<string, { generation: bigint; fingerprint: Buffer }>();
    const sync = async (acks: Ack[]) => {
      const hello = toHello({ client: vmSync }, applied);
      return (await vmSync.syncVm({ hello, update: { acks, agents: [] } })).desired?.agents[0];
    };
    // First with what was not known before, then with what was.
    for (let round = 1; round <= 2; round++) {
      const rolloutId = await rekey(path);
      const told = await sync([]);
      if (!told) throw new Error("it is not told of its agent");
      const { generation, fingerprint } = told;
      applied.set(agentId, { generation, fingerprint });
      const outcome = AckOutcome.ACK_OUTCOME_APPLIED;
      const rest = { reason: "", omittedNames: ["A"], appliedAt: undefined };
      await sync([{ agentId, generation, fingerprint, outcome, ...rest }]);
      expect(await get(path)).toMatchObject({ appliedGeneration: generation });
      expect(await target(rolloutId)).toMatchObject({
        state: TargetState.TARGET_STATE_APPLIED,
        omittedNames: ["A"],
      });
    }
  });

  it("count as a contact even when they say nothing new", async () => {
    const { machine } = await machineWithAgent();
    const { vmSync } = fleet.rotation.clients(machine.credentials);
    const hello = toHello({ client: vmSync }, new Map());
    const lastSeen = async () => {
      const { vms } = await fleet.owner.vmSync.listVmStatuses({});
      return vms.find(({ vmId }) => vmId === machine.id)?.lastSeenAt?.getTime() ?? 0;
    };
    await vmSync.syncVm({ hello, update: undefined });
    const before = await lastSeen();
    await vmSync.syncVm({ hello, update: undefined });
    await eventually(async () => {
      expect(await lastSeen()).toBeGreaterThan(before);
    });
  });

  it("of an older start of the daemon are refused, questions too", async () => {
    const { machine } = await machineWithAgent();
    const { vmSync } = fleet.rotation.clients(machine.credentials);
    const helloOf = (incarnationNumber: bigint) =>
      toHello({ client: vmSync, incarnationNumber }, new Map());
    for (const number of [3n, 4n])
      await vmSync.syncVm({ hello: helloOf(number), update: undefined });
    await expect(vmSync.syncVm({ hello: helloOf(3n), update: undefined })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
  });

  it("need a hello", async () => {
    const { machine } = await machineWithAgent();
    const { vmSync } = fleet.rotation.clients(machine.credentials);
    await expect(vmSync.syncVm({ hello: undefined, update: undefined })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      metadata: { field: "hello" },
    });
  });
});
