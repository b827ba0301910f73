import { randomBytes } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { RolloutState } from "../../../gen/murmur/rotation/v1/rollouts";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { createMachineAgents } from "../../../test/harness/machine-agents";

describe("a VM's hello", () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await startFleet();
  });

  afterAll(() => fleet.stop());

  const { machineWithAgent, get, rekey } = createMachineAgents(() => fleet);

  it("is answered with the whole desired state", async () => {
    const { machine, agentId } = await machineWithAgent();
    const vm = await fleet.connect(machine);
    await eventually(() => {
      expect(vm.received[0]?.message).toMatchObject({
        $case: "desired",
        value: { complete: true, agents: [{ agentId, generation: 1n }] },
      });
    });
  });

  it("may be said again on a stream: the whole state is sent anew, and the stream goes on", async () => {
    const { machine, agentId, path } = await machineWithAgent();
    const vm = await fleet.connect(machine, { isObedient: true });
    const wholeStates = () =>
      vm.received.filter(({ message }) => message?.$case === "desired" && message.value.complete)
        .length;
    for (let count = 1; count <= 3; count++) {
      await eventually(() => {
        expect(wholeStates()).toBe(count);
      });
      vm.sendHello();
    }
    const rolloutId = await rekey(path);
    expect((await fleet.settled(rolloutId)).rollout.state).toBe(
      RolloutState.ROLLOUT_STATE_COMPLETED,
    );
    expect(vm.applied.get(agentId)?.generation).toBe(2n);
  });

  it("replaces what was believed: a reboot takes the applied generation away", async () => {
    const { machine, agentId, path } = await machineWithAgent();
    const before = await fleet.connect(machine, { isObedient: true });
    await eventually(async () => {
      expect(await get(path)).toMatchObject({ appliedGeneration: 1n });
    });
    before.close();
    await fleet.connect(machine, { bootId: "boot-2", incarnationNumber: 2n });
    await eventually(async () => {
      expect(await get(path)).toMatchObject({ appliedGeneration: 0n, desiredGeneration: 1n });
    });
    const { applied } = before;
    await fleet.connect(machine, { bootId: "boot-2", incarnationNumber: 3n, applied });
    await eventually(async () => {
      expect(await get(path)).toMatchObject({ appliedGeneration: 1n });
    });
    expect(applied.get(agentId)?.generation).toBe(1n);
  });

  it("closes the targets that what stands already satisfies", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const vm = await fleet.connect(machine);
    const rolloutId = await rekey(path);
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(2n);
    });
    vm.close();
    const { generation = 0n, fingerprint = Buffer.alloc(0) } = vm.desired.get(agentId) ?? {};
    const applied = new Map([[agentId, { generation, fingerprint }]]);
    await fleet.connect(machine, { incarnationNumber: 2n, applied });
    await fleet.settled(rolloutId);
  });

  it("is not believed about a generation whose fingerprint is not the expected one", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const applied = new Map([[agentId, { generation: 1n, fingerprint: randomBytes(32) }]]);
    const vm = await fleet.connect(machine, { applied });
    await eventually(() => {
      expect(vm.received.length).toBeGreaterThan(0);
    });
    expect(await get(path)).toMatchObject({ appliedGeneration: 0n });
  });

  it.each([
    ["an older start of the daemon", { incarnationNumber: 4n }],
    ["another machine with the same disk", { incarnationNumber: 5n, incarnation: "twin" }],
  ])("of %s is refused with the number that is known", async (_, life) => {
    const { machine } = await machineWithAgent();
    const newest = await fleet.connect(machine, { incarnationNumber: 5n });
    await eventually(() => {
      expect(newest.received.length).toBeGreaterThan(0);
    });
    const late = await fleet.connect(machine, life);
    expect(await late.ended).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: ErrorReason.ERROR_REASON_INCARNATION_SUPERSEDED,
      metadata: {
        incarnation_number: "5",
        silent_seconds: expect.stringMatching(/^\d+$/) as string,
      },
    });
    const above = await fleet.connect(machine, { ...life, incarnationNumber: 6n });
    await eventually(() => {
      expect(above.received.length).toBeGreaterThan(0);
    });
  });

  it("of a machine that joined anew counts, and its old key is not listened to again", async () => {
    const { machine } = await machineWithAgent();
    const old = await fleet.connect(machine, { incarnationNumber: 9n });
    await eventually(() => {
      expect(old.received.length).toBeGreaterThan(0);
    });
    const anew = fleet.catalog.addVm("t1", machine.name, machine.id);
    const fresh = await fleet.connect(anew, { incarnationNumber: 1n });
    await eventually(() => {
      expect(fresh.received.length).toBeGreaterThan(0);
    });
    const again = await fleet.connect(machine, { incarnationNumber: 10n });
    expect(await again.ended).toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("opens the only stream that the VM has: the one before is closed", async () => {
    const { machine } = await machineWithAgent();
    const first = await fleet.connect(machine);
    await eventually(() => {
      expect(first.received.length).toBeGreaterThan(0);
    });
    const second = await fleet.connect(machine);
    expect(await first.ended).toMatchObject({ code: "UNAVAILABLE" });
    await eventually(() => {
      expect(second.received.length).toBeGreaterThan(0);
    });
  });

  it("must be the first message", async () => {
    const { machine, agentId } = await machineWithAgent();
    const vm = await fleet.connect(machine, { waitsWithHello: true });
    vm.ack(agentId);
    expect(await vm.ended).toMatchObject({
      code: "INVALID_ARGUMENT",
      metadata: { field: "hello" },
    });
  });

  it.each([
    ["hello.boot_id", { bootId: "" }],
    ["hello.boot_id", { bootId: "a\0b" }],
    ["hello.incarnation", { incarnation: "x".repeat(129) }],
    ["hello.incarnation_number", { incarnationNumber: 0n }],
  ])("with a wrong %s is refused by its name", async (field, change) => {
    const { machine } = await machineWithAgent();
    const vm = await fleet.connect(machine, change);
    expect(await vm.ended).toMatchObject({ code: "INVALID_ARGUMENT", metadata: { field } });
  });
});
