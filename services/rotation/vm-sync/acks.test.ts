import { randomBytes, randomUUID } from "node:crypto";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { RolloutState, TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { AckOutcome } from "../../../gen/murmur/rotation/v1/vm_sync";
import { createLog } from "../../../lib/log";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { createMachineAgents } from "../../../test/harness/machine-agents";
import { startRotation } from "../../../test/harness/rotation";

describe("acks of VMs", () => {
  let fleet: Fleet;
  const lines: string[] = [];

  beforeAll(async () => {
    const log = createLog("test", "info", { write: (line) => lines.push(line) });
    fleet = await startFleet({ log });
  });

  afterAll(() => fleet.stop());

  const { machineWithAgent, get, rekey, target } = createMachineAgents(() => fleet);

  it("of a later generation satisfy every open target up to it", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const vm = await fleet.connect(machine);
    const rollouts = [await rekey(path), await rekey(path), await rekey(path)];
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(4n);
    });
    expect(await target(rollouts[0] ?? "")).toMatchObject({
      state: TargetState.TARGET_STATE_PENDING,
      reason: "superseded by generation 4, which is on its way",
    });
    vm.ack(agentId);
    for (const rolloutId of rollouts) {
      const { rollout } = await fleet.settled(rolloutId);
      expect(rollout.state).toBe(RolloutState.ROLLOUT_STATE_COMPLETED);
    }
  });

  it("with another fingerprint than the catalog's fail the target and raise an alarm", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const vm = await fleet.connect(machine);
    const rolloutId = await rekey(path);
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(2n);
    });
    vm.ack(agentId, { fingerprint: randomBytes(32) });
    await eventually(async () => {
      expect(await target(rolloutId)).toMatchObject({
        state: TargetState.TARGET_STATE_FAILED,
        reason: expect.stringContaining("fingerprint") as string,
      });
    });
    expect(await get(path)).toMatchObject({ appliedGeneration: 0n });
    expect(lines.some((line) => line.includes("ALARM") && line.includes(agentId))).toBe(true);
    vm.ack(agentId);
    await fleet.settled(rolloutId);
  });

  it("from a VM that does not own the agent change nothing", async () => {
    const { path, agentId } = await machineWithAgent();
    const other = await machineWithAgent();
    const owner = await fleet.rotation.database.pool.query<{ fingerprint: Buffer }>(
      "select fingerprint from rotation.generations where agent_id = $1",
      [agentId],
    );
    const thief = await fleet.connect(other.machine, { isObedient: true });
    const fingerprint = owner.rows[0]?.fingerprint ?? Buffer.alloc(0);
    thief.ack(agentId, { generation: 1n, fingerprint });
    thief.report(agentId, AgentPhase.AGENT_PHASE_COMPLETED);
    await eventually(async () => {
      expect(await get(other.path)).toMatchObject({ appliedGeneration: 1n });
    });
    thief.ack(other.agentId);
    await eventually(async () => {
      expect(await get(path)).toMatchObject({
        appliedGeneration: 0n,
        phase: AgentPhase.AGENT_PHASE_STARTING,
      });
    });
  });

  it("of an earlier life of the VM are not evidence", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const replica = await startRotation({ catalog: fleet.catalog, beside: fleet.rotation });
    const old = await fleet.connect(machine, { to: replica });
    await eventually(() => {
      expect(old.desired.has(agentId)).toBe(true);
    });
    const fresh = await fleet.connect(machine, { bootId: "boot-2", incarnationNumber: 2n });
    await eventually(() => {
      expect(fresh.desired.has(agentId)).toBe(true);
    });
    old.ack(agentId);
    old.report(agentId, AgentPhase.AGENT_PHASE_COMPLETED);
    // Messages are handled in order, and this hello is refused: then the others are done with.
    old.sendHello();
    expect(await old.ended).toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(await get(path)).toMatchObject({
      appliedGeneration: 0n,
      phase: AgentPhase.AGENT_PHASE_STARTING,
    });
    await replica.stop();
  });

  it("that failed say why, and a later success makes it good", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const vm = await fleet.connect(machine);
    const rolloutId = await rekey(path);
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(2n);
    });
    const outcome = AckOutcome.ACK_OUTCOME_FAILED;
    vm.ack(agentId, { outcome, reason: "swap: no space left on device" });
    await eventually(async () => {
      expect(await target(rolloutId)).toMatchObject({
        state: TargetState.TARGET_STATE_FAILED,
        reason: "swap: no space left on device",
      });
    });
    vm.ack(agentId, { omittedNames: ["MULTI_LINE"] });
    const { targets, rollout } = await fleet.settled(rolloutId);
    expect(targets.get(path)).toMatchObject({
      state: TargetState.TARGET_STATE_APPLIED,
      reason: "",
      omittedNames: ["MULTI_LINE"],
    });
    expect(rollout.targetsFailed).toBe(0);
  });

  it("get the agent a new generation when the catalog has lost the one it should have", async () => {
    const { machine, agentId } = await machineWithAgent();
    const vm = await fleet.connect(machine);
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(1n);
    });
    const outcome = AckOutcome.ACK_OUTCOME_FAILED;
    vm.ack(agentId, { outcome, reason: "fetch: the generation is not available" });
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(2n);
    });
  });

  it("may come twice, and in the wrong order", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const vm = await fleet.connect(machine);
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(1n);
    });
    const first = vm.desired.get(agentId);
    const rolloutId = await rekey(path);
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(2n);
    });
    vm.ack(agentId);
    vm.ack(agentId, { generation: 1n, fingerprint: first?.fingerprint ?? Buffer.alloc(0) });
    vm.ack(agentId);
    await fleet.settled(rolloutId);
    expect(await get(path)).toMatchObject({ appliedGeneration: 2n });
  });

  it("that mean nothing are passed over", async () => {
    const { machine, path, agentId } = await machineWithAgent();
    const vm = await fleet.connect(machine);
    await eventually(() => {
      expect(vm.desired.has(agentId)).toBe(true);
    });
    vm.ack("not-a-uuid", { generation: 1n });
    vm.ack(randomUUID(), { generation: 1n });
    vm.ack(agentId, { generation: -1n });
    vm.ack(agentId, { generation: 99n });
    vm.ack(agentId, { outcome: AckOutcome.ACK_OUTCOME_UNSPECIFIED });
    vm.ack(agentId, { outcome: AckOutcome.ACK_OUTCOME_FAILED, reason: "a\0b".repeat(2000) });
    vm.ack(agentId);
    await eventually(async () => {
      expect(await get(path)).toMatchObject({ appliedGeneration: 1n });
    });
  });
});
