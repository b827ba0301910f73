import {
  AgentPhase,
  type AgentSettings,
  ReloadOutcome,
  ReloadTarget,
} from "../../../gen/murmur/rotation/v1/agents";
import { type ScriptedVm, spawnRequest } from "../../../test/fakes/scripted-vm";
import type { FakeVm } from "../../../test/fakes/fake-catalog";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";

const HOOK = {
  how: { $case: "hook" as const, value: { argv: ["./reload.sh", "é"] } },
  ...{ target: ReloadTarget.RELOAD_TARGET_UNSPECIFIED, timeoutMs: 5_000 },
};
const SETTINGS: AgentSettings = {
  ...{ reload: HOOK, childReload: undefined, layersOff: ["node"], docker: [] },
  git: [{ host: "http://127.0.0.1:80", username: "bot", passwordSecret: "GIT_TOKEN" }],
};

describe("an agent's settings", () => {
  let fleet: Fleet;
  let machine: FakeVm;
  let vm: ScriptedVm;

  beforeAll(async () => {
    fleet = await startFleet();
    machine = fleet.machine("vm-1");
    vm = await fleet.connect(machine);
  });
  afterAll(() => fleet.stop());

  const request = (slug: string, settings?: AgentSettings) => ({
    ...spawnRequest({ workspace: "backend", slug }),
    settings,
  });
  const told = (agentId: string, by: ScriptedVm = vm) =>
    eventually(() => {
      const agent = by.desired.get(agentId);
      if (!agent) throw new Error("the VM has not heard of it");
      return agent;
    });

  it("come to its VM as they were given, now and whenever it asks again", async () => {
    const wanted = request("with-settings", SETTINGS);
    await fleet.owner.agents.spawnAgent(wanted);
    expect((await told(wanted.agentId)).settings).toEqual(SETTINGS);
    const again = await fleet.connect(machine, { incarnationNumber: 2n });
    expect((await told(wanted.agentId, again)).settings).toEqual(SETTINGS);
    vm = again;
  });

  it("make another request of the same spawn", async () => {
    const wanted = request("same", SETTINGS);
    await fleet.owner.agents.spawnAgent(wanted);
    await fleet.owner.agents.spawnAgent(wanted);
    const other = { ...wanted, settings: { ...SETTINGS, layersOff: [] } };
    await expect(fleet.owner.agents.spawnAgent(other)).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
    });
  });

  it.each<[string, Partial<AgentSettings>]>([
    ["reload", { reload: { ...HOOK, how: { $case: "signal", value: "SIGKILL" } } }],
    ["reload", { reload: { ...HOOK, how: { $case: "signal", value: "HUP" } } }],
    ["reload", { reload: { ...HOOK, how: undefined } }],
    ["reload", { reload: { ...HOOK, how: { $case: "hook", value: { argv: [] } } } }],
    ["reload", { reload: { ...HOOK, how: { $case: "hook", value: { argv: ["-c"] } } } }],
    ["reload", { reload: { ...HOOK, timeoutMs: 600_001 } }],
    ["child_reload", { childReload: { ...HOOK, timeoutMs: -1 } }],
    ["layers_off", { layersOff: ["java"] }],
    ["git", { git: [{ host: "a\nb", username: "", passwordSecret: "A" }] }],
    ["docker", { docker: [{ host: "a", username: "b\n", passwordSecret: "A" }] }],
    ["docker", { docker: [{ host: "a", username: "", passwordSecret: "a b" }] }],
  ])("are refused with a wrong %s: %j", async (field, change) => {
    const wanted = request("refused", { ...SETTINGS, ...change });
    await expect(fleet.owner.agents.spawnAgent(wanted)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [{ field: `settings.${field}` }],
    });
  });

  it("are not carried out when others changed them, also of a running agent", async () => {
    const wanted = request("changed", SETTINGS);
    await fleet.owner.agents.spawnAgent(wanted);
    await told(wanted.agentId);
    vm.report(wanted.agentId, AgentPhase.AGENT_PHASE_RUNNING);
    await eventually(async () => {
      const { agent } = await fleet.owner.agents.getAgent({
        workspace: "backend",
        path: "changed",
      });
      expect(agent?.phase).toBe(AgentPhase.AGENT_PHASE_RUNNING);
    });
    await fleet.rotation.database.pool.query(
      `update rotation.agents set settings = '{"reload":{"hook":{"argv":["/bin/evil"]}}}'
       where agent_id = $1`,
      [wanted.agentId],
    );
    const again = await fleet.connect(machine, { incarnationNumber: 3n });
    expect((await told(wanted.agentId, again)).settings).toBeUndefined();
    vm = again;
  });
});

describe("a reload that a VM reports", () => {
  let fleet: Fleet;
  let vm: ScriptedVm;

  beforeAll(async () => {
    fleet = await startFleet();
    vm = await fleet.connect(fleet.machine("vm-1"), { isObedient: true });
  });
  afterAll(() => fleet.stop());

  it("shows with the agent, and with the rollouts that it was for", async () => {
    const { agentId } = await fleet.spawn("reloaded");
    const { rollout } = await fleet.rekey("reloaded");
    const rolloutId = rollout?.rolloutId ?? "";
    await fleet.settled(rolloutId);
    const reload = {
      ...{ generation: 2n, outcome: ReloadOutcome.RELOAD_OUTCOME_FAILED },
      ...{ reason: "hook: exit 3", at: new Date(1_000) },
    };
    const report = { agentId, phase: AgentPhase.AGENT_PHASE_RUNNING, exitStatus: undefined };
    vm.send({ agents: [{ ...report, processes: [], reload }] });
    const { agents, rollouts } = fleet.owner;
    await eventually(async () => {
      const { agent } = await agents.getAgent({ workspace: "backend", path: "reloaded" });
      expect(agent?.reload).toEqual(reload);
    });
    expect((await rollouts.getRollout({ rolloutId })).targets[0]?.reload).toEqual(reload);
    expect((await rollouts.listRolloutProcesses({ rolloutId })).agents[0]?.reload).toEqual(reload);
    const next = (await fleet.rekey("reloaded")).rollout?.rolloutId ?? "";
    await fleet.settled(next);
    expect((await rollouts.getRollout({ rolloutId: next })).targets[0]?.reload).toBeUndefined();
    // A daemon that was started anew knows nothing of it.
    vm.send({ agents: [{ ...report, phase: AgentPhase.AGENT_PHASE_IDLE, processes: [] }] });
    await eventually(async () => {
      const { agent } = await agents.getAgent({ workspace: "backend", path: "reloaded" });
      expect(agent).toMatchObject({ phase: AgentPhase.AGENT_PHASE_IDLE, reload });
    });
  });
});
