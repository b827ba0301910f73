import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { processMessage } from "../../../test/fakes/process-message";
import type { ScriptedVm } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";

describe("processes of a rollout", () => {
  let fleet: Fleet;
  let vm: ScriptedVm;

  beforeAll(async () => {
    fleet = await startFleet();
    vm = await fleet.connect(fleet.machine("vm-1"));
  });

  afterAll(() => fleet.stop());

  it("count as told only when their VM speaks of them after its ack, even with nothing new", async () => {
    const { agentId } = await fleet.spawn("told");
    const processes = [processMessage({ pid: 7, generation: 2n, readsThrough: true })];
    const report = () => {
      const phase = AgentPhase.AGENT_PHASE_RUNNING;
      vm.send({ agents: [{ agentId, phase, exitStatus: undefined, processes }] });
    };
    report();
    const { rollout } = await fleet.rekey("told");
    const rolloutId = rollout?.rolloutId ?? "";
    const seen = async () =>
      (await fleet.owner.rollouts.listRolloutProcesses({ rolloutId })).agents;
    await eventually(async () => expect(await seen()).toMatchObject([{ processes }]));
    await eventually(() => expect(vm.desired.get(agentId)?.generation).toBe(2n));
    expect(await seen()).toMatchObject([{ path: "told", generation: 2n, isCurrent: false }]);
    vm.ack(agentId);
    await fleet.settled(rolloutId);
    expect(await seen()).toMatchObject([{ isCurrent: false }]);
    report();
    await eventually(async () => expect(await seen()).toMatchObject([{ isCurrent: true }]));
  });

  it("are those of living agents only", async () => {
    const { agentId } = await fleet.spawn("over");
    const { rollout } = await fleet.rekey("over");
    vm.report(agentId, AgentPhase.AGENT_PHASE_COMPLETED, { how: { $case: "code", value: 0 } });
    const rolloutId = rollout?.rolloutId ?? "";
    await fleet.settled(rolloutId);
    const { agents } = await fleet.owner.rollouts.listRolloutProcesses({ rolloutId });
    expect(agents).toEqual([]);
  });
});
