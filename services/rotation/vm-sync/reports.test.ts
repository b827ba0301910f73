import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { AgentWish } from "../../../gen/murmur/rotation/v1/vm_sync";
import { processMessage } from "../../../test/fakes/process-message";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { createMachineAgents } from "../../../test/harness/machine-agents";

describe("reports of VMs", () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await startFleet();
  });

  afterAll(() => fleet.stop());

  const { machineWithAgent, get, rekey } = createMachineAgents(() => fleet);

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

  it("record applied, the first use of the new and the last use of the old, each once", async () => {
    const { machine, agentId } = await machineWithAgent();
    const vm = await fleet.connect(machine);
    await eventually(() => {
      expect(vm.desired.get(agentId)?.generation).toBe(1n);
    });
    vm.ack(agentId);
    const [old, late, first] = [1, 2, 3].map((second) => new Date(second * 1_000));
    const report = async (generation: bigint, firstUsedAt?: Date, lastUsedBeforeAt?: Date) => {
      const process = processMessage({ pid: 7, generation, firstUsedAt, lastUsedBeforeAt });
      const phase = AgentPhase.AGENT_PHASE_IDLE;
      vm.send({ agents: [{ agentId, phase, exitStatus: undefined, processes: [process] }] });
      const shown = async () => {
        const { rows } = await fleet.rotation.pool.query<{ g: string }>(
          "select processes->0->'receipt'->>'generation' as g from rotation.agents where agent_id = $1",
          [agentId],
        );
        expect(rows[0]?.g).toBe(String(generation));
      };
      await eventually(shown);
    };
    await report(1n, old);
    await report(2n);
    await report(1n, old);
    await report(2n, first, late);
    const { rows } = await fleet.rotation.pool.query(
      `select actor_kind, actor_id, action, detail from rotation.audit
       where object_id = $1 and action like 'generation.%' and action <> 'generation.apply'
       order by id`,
      [agentId],
    );
    const by = { actor_kind: "vm", actor_id: machine.id };
    expect(rows).toEqual([
      { ...by, action: "generation.first-use", detail: { generation: 1, at: old?.toISOString() } },
      { ...by, action: "generation.last-use", detail: { generation: 1 } },
      {
        ...by,
        action: "generation.first-use",
        detail: { generation: 2, at: first?.toISOString() },
      },
      { ...by, action: "generation.last-use", detail: { generation: 1, at: late?.toISOString() } },
    ]);
    await eventually(async () => {
      const applied = await fleet.rotation.pool.query(
        "select detail from rotation.audit where object_id = $1 and action = 'generation.apply'",
        [agentId],
      );
      expect(applied.rows).toEqual([{ detail: { generation: 1 } }]);
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
