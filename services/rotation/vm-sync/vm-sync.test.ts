import { randomBytes, randomUUID } from "node:crypto";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { RolloutState, TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { AckOutcome, AgentWish, type Ack } from "../../../gen/murmur/rotation/v1/vm_sync";
import type { FakeVm } from "../../../test/fakes/fake-catalog";
import { toHello } from "../../../test/fakes/scripted-vm";
import { processMessage } from "../../../test/fakes/process-message";
import { eventually } from "../../../test/harness/eventually";
import { startRotation } from "../../../test/harness/rotation";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { createLog } from "../../../lib/log";

describe("what VMs say", () => {
  let fleet: Fleet;
  const lines: string[] = [];

  beforeAll(async () => {
    const log = createLog("test", "info", { write: (line) => lines.push(line) });
    fleet = await startFleet({ log });
  });

  afterAll(() => fleet.stop());

  /** A machine of its own with one agent on it, so that tests do not meet. */
  const machineWithAgent = async (): Promise<{
    machine: FakeVm;
    agentId: string;
    path: string;
  }> => {
    const name = `vm-${randomUUID().slice(0, 8)}`;
    const machine = fleet.machine(name);
    const path = `agent-${name}`;
    const { agentId } = await fleet.spawn(path, { vm: name });
    return { machine, agentId, path };
  };
  const get = async (path: string) =>
    (await fleet.owner.agents.getAgent({ workspace: "backend", path })).agent;
  const rekey = async (path: string) => (await fleet.rekey(path)).rollout?.rolloutId ?? "";
  const target = async (rolloutId: string) =>
    (await fleet.owner.rollouts.getRollout({ rolloutId })).targets[0];

  describe("hello", () => {
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

  describe("acks", () => {
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

  describe("reports", () => {
    it("move the phase, and show processes and how it ended", async () => {
      const { machine, path, agentId } = await machineWithAgent();
      const vm = await fleet.connect(machine);
      const process = processMessage({
        ...{ pid: 7, parentPid: 1, name: "bash", startTicks: 12345678901n },
        ...{ generation: 17n, layer: "bash", readsThrough: true, notAppliedNatively: true },
        ...{ firstUsedAt: new Date(1_700_000_000_123), lastUsedBeforeAt: new Date(1) },
      });
      vm.send({
        agents: [
          {
            agentId,
            phase: AgentPhase.AGENT_PHASE_IDLE,
            exitStatus: undefined,
            processes: [process],
          },
        ],
      });
      await eventually(async () => {
        const shown = await fleet.owner.agents.getAgent({ workspace: "backend", path });
        expect(shown).toMatchObject({
          agent: { phase: AgentPhase.AGENT_PHASE_IDLE },
          processes: [process],
        });
        expect(shown.reportedAt).toBeInstanceOf(Date);
      });
      vm.report(agentId, AgentPhase.AGENT_PHASE_FAILED, {
        how: { $case: "signal", value: "SIGSEGV" },
      });
      await eventually(async () => {
        expect(await get(path)).toMatchObject({
          phase: AgentPhase.AGENT_PHASE_FAILED,
          exitStatus: { how: { $case: "signal", value: "SIGSEGV" } },
          endedAt: expect.any(Date) as Date,
        });
      });
    });

    it("of an end settle the agent's open targets as skipped", async () => {
      const { machine, path, agentId } = await machineWithAgent();
      const vm = await fleet.connect(machine);
      const rolloutId = await rekey(path);
      vm.report(agentId, AgentPhase.AGENT_PHASE_COMPLETED, { how: { $case: "code", value: 0 } });
      const { rollout, targets } = await fleet.settled(rolloutId);
      expect(rollout.targetsSkipped).toBe(1);
      expect(targets.get(path)).toMatchObject({
        state: TargetState.TARGET_STATE_SKIPPED,
        reason: "completed",
      });
    });

    it("never bring an agent back that is over", async () => {
      const { machine, path, agentId } = await machineWithAgent();
      const vm = await fleet.connect(machine);
      vm.report(agentId, AgentPhase.AGENT_PHASE_COMPLETED, { how: { $case: "code", value: 0 } });
      vm.report(agentId, AgentPhase.AGENT_PHASE_RUNNING);
      vm.sendHello();
      // What was said before the second hello is taken in when that one is answered.
      await eventually(() => {
        const whole = vm.received.filter(
          ({ message }) => message?.$case === "desired" && message.value.complete,
        );
        expect(whole).toHaveLength(2);
      });
      expect(await get(path)).toMatchObject({ phase: AgentPhase.AGENT_PHASE_COMPLETED });
    });

    it("of the end of an agent that somebody asked for say cancelled", async () => {
      const { machine, path, agentId } = await machineWithAgent();
      const vm = await fleet.connect(machine);
      await eventually(() => {
        expect(vm.desired.has(agentId)).toBe(true);
      });
      await fleet.owner.agents.killAgent({ workspace: "backend", path, callerAgentId: "" });
      await eventually(() => {
        expect(vm.desired.get(agentId)?.wish).toBe(AgentWish.AGENT_WISH_END);
      });
      vm.report(agentId, AgentPhase.AGENT_PHASE_COMPLETED, { how: { $case: "code", value: 0 } });
      await eventually(async () => {
        expect(await get(path)).toMatchObject({ phase: AgentPhase.AGENT_PHASE_CANCELLED });
      });
    });
  });

  describe("in one call", () => {
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
