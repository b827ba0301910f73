import { connectVm, spawnRequest, type ScriptedVm } from "../../test/fakes/scripted-vm";
import { startFakeCatalog, type FakeCatalog } from "../../test/fakes/fake-catalog";
import { eventually } from "../../test/harness/eventually";
import {
  startRotation,
  type RotationClients,
  type TestRotation,
} from "../../test/harness/rotation";
import { RolloutState, TargetState } from "../../gen/murmur/rotation/v1/rollouts";
import { AgentPhase } from "../../gen/murmur/rotation/v1/agents";

describe("the main path over real gRPC and PostgreSQL", () => {
  let catalog: FakeCatalog;
  let rotation: TestRotation;
  let vm: ScriptedVm;
  let alice: RotationClients;

  beforeAll(async () => {
    catalog = await startFakeCatalog();
    rotation = await startRotation({ catalog });
    alice = rotation.clients(catalog.developer({ tenantId: "t1" }));
    catalog.workspaces.set("t1/backend", []);
    const machine = catalog.addVm("t1", "vm-1");
    vm = await connectVm({
      client: rotation.clients(machine.credentials).vmSync,
      isObedient: true,
    });
  });

  afterAll(async () => {
    vm.close();
    await rotation.stop();
    await catalog.stop();
  });

  it("spawns, delivers, and completes a rekey when the VM has acked it", async () => {
    const spawned = await alice.agents.spawnAgent(
      spawnRequest({ workspace: "backend", slug: "fix-auth" }),
    );
    const agentId = spawned.agent?.agentId ?? "";
    expect(spawned.agent).toMatchObject({
      path: "fix-auth",
      vmName: "vm-1",
      developer: "github/alice",
    });
    await eventually(async () => {
      const { agent } = await alice.agents.getAgent({ workspace: "backend", path: "fix-auth" });
      expect(agent).toMatchObject({
        phase: AgentPhase.AGENT_PHASE_RUNNING,
        desiredGeneration: 1n,
        appliedGeneration: 1n,
      });
    });

    const { rollout } = await alice.rollouts.rekeyAgent({
      workspace: "backend",
      path: "fix-auth",
      requestId: "r1",
      reason: "rotation",
    });
    const states: RolloutState[] = [];
    let last: TargetState | undefined;
    for await (const change of alice.rollouts.watchRollout({
      rolloutId: rollout?.rolloutId ?? "",
    })) {
      if (change.rollout) states.push(change.rollout.state);
      last = change.targets.find((target) => target.agentId === agentId)?.state ?? last;
    }
    expect(states.at(-1)).toBe(RolloutState.ROLLOUT_STATE_COMPLETED);
    expect(last).toBe(TargetState.TARGET_STATE_APPLIED);
    expect(vm.desired.get(agentId)?.generation).toBe(2n);
  });
});
