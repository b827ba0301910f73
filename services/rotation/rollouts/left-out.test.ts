import { randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { failedPrecondition } from "../../../lib/errors";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";
import { createAgentBindings } from "../agents/agent-bindings";

describe("an agent that the catalog refuses a generation", () => {
  let fleet: Fleet;
  let vmId: string;
  beforeAll(async () => {
    fleet = await startFleet();
    const machine = fleet.machine("vm-1");
    vmId = machine.id;
    fleet.catalog.workspaces.set("t1/backend", ["vm-1"]);
    await fleet.connect(machine, { isObedient: true });
  });
  afterEach(() => {
    fleet.catalog.beforeSnapshot = () => undefined;
  });
  afterAll(() => fleet.stop());

  const gone = (path: string) => `spawn-time secrets of agent "${path}" are gone: spawn it again`;
  /** As the catalog does: the first of them refuses the whole call. */
  const refuse = (paths: string[], reason = ErrorReason.ERROR_REASON_SPAWN_SECRETS_GONE) => {
    fleet.catalog.beforeSnapshot = ({ agents }) => {
      const refused = agents.find(({ path }) => paths.includes(path));
      if (!refused) return;
      throw failedPrecondition(reason, gone(refused.path), { agent_id: refused.agentId });
    };
  };
  const tree = async (slug: string, children: string[]) => {
    const parent = await fleet.spawn(slug);
    for (const child of children) await fleet.spawn(child, { parentAgentId: parent.agentId });
  };

  it.each([
    ["SPAWN_SECRETS_GONE", ErrorReason.ERROR_REASON_SPAWN_SECRETS_GONE],
    ["TAMPERED", ErrorReason.ERROR_REASON_TAMPERED],
    ["AGENT_ENDED", ErrorReason.ERROR_REASON_AGENT_ENDED],
  ])("with %s is skipped with its reason, and the others get theirs", async (word, reason) => {
    const slug = `tree-${word.toLowerCase().replaceAll("_", "-")}`;
    await tree(slug, ["one", "two", "three"]);
    refuse([`${slug}/one`, `${slug}/three`], reason);
    const { rollout } = await fleet.rekey(slug);
    const { targets } = await fleet.settled(rollout?.rolloutId ?? "");
    const { TARGET_STATE_APPLIED: applied, TARGET_STATE_SKIPPED: skipped } = TargetState;
    expect([...targets.values()].map((it) => [it.path, it.state, it.reason])).toEqual([
      [slug, applied, ""],
      [`${slug}/one`, skipped, gone(`${slug}/one`)],
      [`${slug}/three`, skipped, gone(`${slug}/three`)],
      [`${slug}/two`, applied, ""],
    ]);
    const { rows } = await fleet.rotation.database.pool.query(
      `select detail from rotation.audit where object_id = $1 and outcome = 'refused'`,
      [targets.get(`${slug}/one`)?.agentId],
    );
    expect(rows).toEqual([{ detail: { reason: gone(`${slug}/one`) } }]);
  });

  it("refuses the rekey when it is the one that was named", async () => {
    await tree("named", ["child"]);
    refuse(["named"]);
    await expect(fleet.rekey("named")).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_SPAWN_SECRETS_GONE,
      message: gone("named"),
    });
  });

  it("refuses the rekey when what is wrong is not the agent's alone", async () => {
    await tree("large", ["child"]);
    refuse(["large/child"], ErrorReason.ERROR_REASON_ENVIRONMENT_TOO_LARGE);
    await expect(fleet.rekey("large")).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_ENVIRONMENT_TOO_LARGE,
    });
  });

  it("because its spawn came too late is not started, and phase and explain say why", async () => {
    refuse(["late"]);
    const id = randomUUID();
    const bound = {
      ...{ tenantId: "t1", id, vmId, workspace: "backend", developer: "github/alice" },
      ...{ parentId: undefined, expectsSpawnSecrets: true },
    };
    const bindings = createAgentBindings({ signingKey: fleet.catalog.rotationKey });
    await fleet.rotation.database.pool.query(
      `with tree as (insert into rotation.trees values ('t1', $1))
       insert into rotation.agents (tenant_id, agent_id, workspace, slug, path, root_id, vm_id,
         vm_name, developer, command, working_directory, request_hash, binding, launch_mac,
         expects_spawn_secrets, created_at)
       values ('t1', $1, 'backend', 'late', 'late', $1, $2, 'vm-1', 'github/alice', '{/bin/true}',
         '', '', $3, '', true, now() - interval '11 minutes')`,
      [id, vmId, bindings.macOf(bound)],
    );
    const named = { workspace: "backend", path: "late" };
    await eventually(async () => {
      const { agent } = await fleet.owner.agents.getAgent(named);
      expect(agent).toMatchObject({
        phase: AgentPhase.AGENT_PHASE_FAILED,
        exitStatus: { how: { $case: "unknown", value: gone("late") } },
        desiredGeneration: 0n,
      });
    });
    const asked = fleet.catalog.snapshots.flatMap(({ agents }) => agents);
    expect(asked.find(({ agentId }) => agentId === id)?.expectsSpawnSecrets).toBe(true);
    const { summary, hops } = await fleet.owner.agents.explainAgent(named);
    expect(summary).toBe(`agent "late" is failed (${gone("late")}): it gets no new generation`);
    expect(hops[0]?.detail).toBe(`the agent is failed (${gone("late")})`);
  });
});
