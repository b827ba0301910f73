import { randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { AgentWish } from "../../../gen/murmur/rotation/v1/vm_sync";
import { createLog } from "../../../lib/log";
import type { FakeVm } from "../../../test/fakes/fake-catalog";
import { spawnRequest } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";

/** Whoever can write the tables of this service, and has none of its keys. */
describe("a record of an agent that was changed by other hands", () => {
  let fleet: Fleet;
  let machine: FakeVm;
  let stolen: FakeVm;
  const lines: string[] = [];

  beforeAll(async () => {
    const log = createLog("test", "error", { write: (line) => lines.push(line) });
    fleet = await startFleet({ log });
    machine = fleet.machine("vm-1");
    stolen = fleet.machine("vm-stolen");
    fleet.catalog.workspaces.set("t1/backend", ["vm-1"]);
    await fleet.connect(machine, { isObedient: true });
  });
  afterAll(() => fleet.stop());

  const sql = (text: string, values: unknown[]) => fleet.rotation.database.pool.query(text, values);
  const plant = async (path: string, change: { desired?: number; ageSeconds?: number } = {}) => {
    const { desired = 0, ageSeconds = 0 } = change;
    const agentId = randomUUID();
    await sql(
      `with tree as (insert into rotation.trees values ('t1', $1))
       insert into rotation.agents (tenant_id, agent_id, workspace, slug, path, root_id, vm_id,
         vm_name, developer, command, working_directory, request_hash, binding,
         launch_mac, desired, created_at)
       values ('t1', $1, 'backend', $3, $3, $1, $2, 'vm-stolen', 'github/alice', '{/bin/true}', '',
         '', '', '', $4, now() - make_interval(secs => $5))`,
      [agentId, stolen.id, path, desired, ageSeconds],
    );
    return agentId;
  };
  const move = (agentId: string) =>
    sql(`update rotation.agents set vm_id = $2 where agent_id = $1`, [agentId, stolen.id]);
  const wasAskedFor = (agentId: string, vmId: string) =>
    fleet.catalog.snapshots.some(({ agents }) =>
      agents.some((it) => it.agentId === agentId && it.vmId === vmId),
    );
  const refusedRows = async (agentId: string) => {
    const { rows } = await sql(
      `select actor_id, action, outcome, detail from rotation.audit
       where object_id = $1 and outcome = 'refused'`,
      [agentId],
    );
    return rows;
  };
  const expectAlarm = (agentId: string) => {
    const found = lines.find((line) => line.includes("ALARM") && line.includes(agentId));
    expect(found).toContain('"level":"error"');
  };
  const named = (path: string) => ({ workspace: "backend", path });
  const tampered = (path: string) => ({
    code: "FAILED_PRECONDITION",
    reason: ErrorReason.ERROR_REASON_TAMPERED,
    message: `the record of agent "${path}" was changed by other hands`,
  });

  it("gets no first generation: the agent has failed, and says why", async () => {
    const agentId = await plant("planted", { ageSeconds: 60 });
    await eventually(async () => {
      const { agent } = await fleet.owner.agents.getAgent({
        workspace: "backend",
        path: "planted",
      });
      expect(agent).toMatchObject({
        phase: AgentPhase.AGENT_PHASE_FAILED,
        exitStatus: { how: { value: tampered("planted").message } },
      });
    });
    expect(wasAskedFor(agentId, stolen.id)).toBe(false);
    expectAlarm(agentId);
    expect(await refusedRows(agentId)).toEqual([
      {
        actor_id: "rotation",
        action: "agent.snapshot",
        outcome: "refused",
        detail: { reason: tampered("planted").message },
      },
    ]);
  });

  it("gets nothing in place of a generation that is gone", async () => {
    const agentId = await plant("gone", { desired: 1 });
    await sql(
      `update rotation.agents set phase = 'running', failed_generation = 1, failed_at = now(),
         failed_reason = 'fetch: the generation is not available' where agent_id = $1`,
      [agentId],
    );
    await eventually(() => {
      expectAlarm(agentId);
    });
    expect(wasAskedFor(agentId, stolen.id)).toBe(false);
  });

  it("is refused when it is the one to rekey, before the catalog is asked", async () => {
    const { agentId } = await fleet.spawn("moved");
    await move(agentId);
    await expect(fleet.rekey("moved")).rejects.toMatchObject(tampered("moved"));
    expect(wasAskedFor(agentId, stolen.id)).toBe(false);
    expectAlarm(agentId);
    expect(await refusedRows(agentId)).toMatchObject([{ actor_id: "github/alice" }]);
  });

  it("is skipped in the rekey of its tree, and the others get their generation", async () => {
    const parent = await fleet.spawn("tree");
    const child = await fleet.spawn("child", { parentAgentId: parent.agentId });
    await move(child.agentId);
    const { rollout } = await fleet.rekey("tree");
    const { targets } = await fleet.settled(rollout?.rolloutId ?? "");
    expect(targets.get("tree")?.state).toBe(TargetState.TARGET_STATE_APPLIED);
    expect(targets.get("tree/child")).toMatchObject({
      state: TargetState.TARGET_STATE_SKIPPED,
      reason: tampered("tree/child").message,
    });
    expect(wasAskedFor(child.agentId, stolen.id)).toBe(false);
    expectAlarm(child.agentId);
    expect(await refusedRows(child.agentId)).toMatchObject([{ action: "agent.snapshot" }]);
  });

  it("is skipped, too, when it was changed while the removal of a VM was caught up with", async () => {
    const parent = await fleet.spawn("removal");
    const child = await fleet.spawn("child", { parentAgentId: parent.agentId });
    const spare = fleet.machine("vm-spare");
    await fleet.spawn("lost", { parentAgentId: parent.agentId, vm: "vm-spare" });
    let isFirst = true;
    fleet.catalog.beforeSnapshot = async () => {
      if (!isFirst) return;
      isFirst = false;
      await move(child.agentId);
      fleet.catalog.removeVm(spare);
    };
    const { targets } = await fleet.rekey("removal");
    fleet.catalog.beforeSnapshot = () => undefined;
    expect(targets.find(({ path }) => path === "removal/child")).toMatchObject({
      state: TargetState.TARGET_STATE_SKIPPED,
      reason: tampered("removal/child").message,
    });
    expect(wasAskedFor(child.agentId, stolen.id)).toBe(false);
  });

  it("gets no child, which would be genuine and inherit what was planted", async () => {
    const parentAgentId = await plant("mother", { desired: 1 });
    const { agents } = fleet.rotation.clients(stolen.credentials);
    const request = spawnRequest({ workspace: "", slug: "child", parentAgentId });
    await expect(agents.spawnAgent(request)).rejects.toMatchObject(tampered("mother"));
    await expect(
      fleet.owner.agents.getAgent({ workspace: "backend", path: "mother/child" }),
    ).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  describe("while it is still to be started", () => {
    const change = (agentId: string) =>
      sql(`update rotation.agents set command = '{/bin/evil}' where agent_id = $1`, [agentId]);

    it("goes to its VM without a command, in the whole state and in what changed", async () => {
      const quiet = fleet.machine("vm-quiet");
      const honest = await fleet.spawn("honest", { vm: "vm-quiet", command: ["/bin/good"] });
      const early = await fleet.spawn("early", { vm: "vm-quiet" });
      await change(early.agentId);
      const vm = await fleet.connect(quiet);
      await eventually(() => {
        expect(vm.desired.get(early.agentId)).toMatchObject({ generation: 1n, command: [] });
      });
      expect(vm.desired.get(honest.agentId)).toMatchObject({ command: ["/bin/good"] });
      expectAlarm(early.agentId);

      await change(honest.agentId);
      await fleet.rekey("honest");
      await eventually(() => {
        expect(vm.desired.get(honest.agentId)).toMatchObject({ generation: 2n, command: [] });
      });
      await fleet.owner.agents.killAgent({ ...named("early"), callerAgentId: "" });
      await eventually(() => {
        const wish = AgentWish.AGENT_WISH_END;
        expect(vm.desired.get(early.agentId)).toMatchObject({ wish, command: [] });
      });
    });

    it("that was given to another developer goes to its VM without a command", async () => {
      const { agentId } = await fleet.spawn("given", { vm: "vm-stolen" });
      await sql(`update rotation.agents set developer = 'github/mallory' where agent_id = $1`, [
        agentId,
      ]);
      const vm = await fleet.connect(stolen);
      await eventually(() => {
        expect(vm.desired.get(agentId)).toMatchObject({ command: [] });
      });
    });
  });

  it("gets no generation by a repetition of its spawn, and stays as evidence", async () => {
    const request = spawnRequest({ workspace: "backend", slug: "repeated" });
    await fleet.owner.agents.spawnAgent(request);
    await sql(
      `update rotation.agents set vm_id = $2, phase = 'starting', desired = 0 where agent_id = $1`,
      [request.agentId, stolen.id],
    );
    await expect(fleet.owner.agents.spawnAgent(request)).rejects.toMatchObject(
      tampered("repeated"),
    );
    const { agent } = await fleet.owner.agents.getAgent({ workspace: "backend", path: "repeated" });
    expect(agent?.agentId).toBe(request.agentId);
  });
});
