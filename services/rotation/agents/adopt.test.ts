import {
  type Adoption,
  AgentPhase,
  type AgentSettings,
} from "../../../gen/murmur/rotation/v1/agents";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type ScriptedVm, spawnRequest } from "../../../test/fakes/scripted-vm";
import type { FakeVm } from "../../../test/fakes/fake-catalog";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";

const ADOPT: AgentSettings = {
  ...{ reload: undefined, childReload: undefined, layersOff: [], git: [], docker: [] },
  adopt: { pid: 4711, startTicks: 99n, askedAt: undefined },
};

let fleet: Fleet;
let machine: FakeVm;
let vm: ScriptedVm;

beforeAll(async () => {
  fleet = await startFleet();
  machine = fleet.machine("vm-1");
  vm = await fleet.connect(machine);
});
afterAll(() => fleet.stop());

const request = (slug: string, settings: AgentSettings = ADOPT, command: string[] = []) => ({
  ...spawnRequest({ workspace: "backend", slug, command }),
  settings,
});
const told = (agentId: string, by: ScriptedVm = vm) =>
  eventually(() => {
    const agent = by.desired.get(agentId);
    if (!agent) throw new Error("the VM has not heard of it");
    return agent;
  });

it("tells the VM of the process and when it was asked for, by the service's own clock", async () => {
  const wanted = request("told", {
    ...ADOPT,
    adopt: { pid: 4711, startTicks: 99n, askedAt: new Date(0) },
  });
  const before = Date.now();
  await fleet.owner.agents.spawnAgent(wanted);
  // A repeat is the same wish, however long after.
  await fleet.owner.agents.spawnAgent(wanted);
  const { settings, command, generation } = await told(wanted.agentId);
  expect({ command, generation }).toEqual({ command: [], generation: 1n });
  expect(settings?.adopt).toMatchObject({ pid: 4711, startTicks: 99n });
  const askedAt = settings?.adopt?.askedAt?.getTime() ?? 0;
  expect(askedAt).toBeGreaterThanOrEqual(before);
  expect(askedAt).toBeLessThanOrEqual(Date.now());
});

it("is in the audit under a name of its own", async () => {
  const wanted = request("audited");
  await fleet.owner.agents.spawnAgent(wanted);
  const { rows } = await fleet.rotation.database.pool.query(
    "select action, outcome, detail from rotation.audit where object_id = $1",
    [wanted.agentId],
  );
  expect(rows).toEqual([{ action: "agent.adopt", outcome: "ok", detail: { pid: 4711 } }]);
});

it.each<[string, string, Partial<NonNullable<AgentSettings["adopt"]>>, string[]]>([
  ["the first process of the machine", "settings.adopt", { pid: 1 }, []],
  ["a process group", "settings.adopt", { pid: -5 }, []],
  ["a pid that no machine hands out", "settings.adopt", { pid: 4_194_305 }, []],
  ["a start before the boot", "settings.adopt", { startTicks: -1n }, []],
  ["a command beside the process", "command", {}, ["/bin/true"]],
])("is refused with %s", async (_, field, change, command) => {
  const adopt = { pid: 4711, startTicks: 0n, askedAt: undefined, ...change };
  const wanted = request("refused", { ...ADOPT, adopt }, command);
  await expect(fleet.owner.agents.spawnAgent(wanted)).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    violations: [{ field }],
  });
});

it("asks for the VM by name where there are several, since a process is on one", async () => {
  const other = fleet.machine("vm-2");
  try {
    await expect(fleet.owner.agents.spawnAgent(request("where"))).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_VM_AMBIGUOUS,
      message: "several VMs to choose from, name one: vm-1, vm-2",
    });
    fleet.catalog.workspaces.set("t1/pool", ["vm-1", "vm-2"]);
    const pooled = { ...request("where"), workspace: "pool" };
    await expect(fleet.owner.agents.spawnAgent(pooled)).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_VM_AMBIGUOUS,
    });
    await fleet.owner.agents.spawnAgent({ ...pooled, vm: "vm-1" });
  } finally {
    fleet.catalog.removeVm(other);
  }
});

it("is not carried out when others changed which process is meant", async () => {
  const wanted = request("changed");
  await fleet.owner.agents.spawnAgent(wanted);
  await told(wanted.agentId);
  await fleet.rotation.database.pool.query(
    `update rotation.agents set settings = jsonb_set(settings, '{adopt,pid}', '4712')
     where agent_id = $1`,
    [wanted.agentId],
  );
  const again = await fleet.connect(machine, { incarnationNumber: 2n });
  const { settings, command } = await told(wanted.agentId, again);
  expect({ settings, command }).toEqual({ settings: undefined, command: [] });
  vm = again;
});

describe("what its VM says of the process", () => {
  const adoption: Adoption = {
    ...{ pid: 4711, startTicks: 99n, name: "node", startedAt: new Date(1_000) },
    ...{ directory: "/run/murmur/agents/x", canUse: ["its files"], cannotUse: ["a", "b"] },
  };
  const seen = async (path: string) =>
    (await fleet.owner.agents.getAgent({ workspace: "backend", path })).agent;

  it("shows with the agent, and stays when a later report leaves it out", async () => {
    const { agentId } = request("shown");
    await fleet.owner.agents.spawnAgent({ ...request("shown"), agentId });
    await told(agentId);
    expect((await seen("shown"))?.adoption).toBeUndefined();
    const report = { agentId, exitStatus: undefined, processes: [] };
    vm.send({ agents: [{ ...report, phase: AgentPhase.AGENT_PHASE_RUNNING, adoption }] });
    await eventually(async () => expect((await seen("shown"))?.adoption).toEqual(adoption));
    vm.report(agentId, AgentPhase.AGENT_PHASE_IDLE);
    await eventually(async () =>
      expect(await seen("shown")).toMatchObject({ phase: AgentPhase.AGENT_PHASE_IDLE, adoption }),
    );
  });

  it("is cut to what can be kept", async () => {
    const { agentId } = request("flood");
    await fleet.owner.agents.spawnAgent({ ...request("flood"), agentId });
    await told(agentId);
    const flood = Array.from({ length: 100 }, () => "x\0".repeat(5_000));
    const phase = AgentPhase.AGENT_PHASE_RUNNING;
    const report = { agentId, exitStatus: undefined, processes: [], phase };
    vm.send({ agents: [{ ...report, adoption: { ...adoption, cannotUse: flood } }] });
    await eventually(async () => {
      const { cannotUse = [] } = (await seen("flood"))?.adoption ?? {};
      expect(cannotUse).toHaveLength(16);
      expect(cannotUse[0]).toMatch(/^x{1,1024}$/);
    });
    // One that names no process means nothing.
    const other = request("nothing");
    await fleet.owner.agents.spawnAgent(other);
    await told(other.agentId);
    const none = { ...report, agentId: other.agentId, adoption: { ...adoption, pid: 0 } };
    vm.send({ agents: [none] });
    await eventually(async () => expect((await seen("nothing"))?.phase).toBe(phase));
    expect((await seen("nothing"))?.adoption).toBeUndefined();
  });
});
