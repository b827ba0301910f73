import { randomUUID } from "node:crypto";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { AgentPhase } from "../../../gen/murmur/rotation/v1/agents";
import { RolloutKind, RolloutState, TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { AckOutcome } from "../../../gen/murmur/rotation/v1/vm_sync";
import { failedPrecondition } from "../../../lib/errors";
import type { ScriptedVm } from "../../../test/fakes/scripted-vm";
import { eventually } from "../../../test/harness/eventually";
import { startFleet, type Fleet } from "../../../test/harness/fleet";

const { TARGET_STATE_APPLIED: APPLIED, TARGET_STATE_SKIPPED: SKIPPED } = TargetState;
const NOTHING = "it has no earlier generation that is kept";

describe("rollback", () => {
  let fleet: Fleet;
  let vm: ScriptedVm;

  beforeAll(async () => {
    fleet = await startFleet();
    const machine = fleet.machine("vm-1");
    fleet.catalog.workspaces.set("t1/backend", ["vm-1"]);
    vm = await fleet.connect(machine, { isObedient: true });
  });
  afterEach(() => {
    fleet.catalog.beforeSnapshot = () => undefined;
    fleet.catalog.notRolledBackNames = [];
  });
  afterAll(() => fleet.stop());

  const rollBack = (rolloutId: string, requestId: string = randomUUID(), reason = "") =>
    fleet.owner.rollouts.rollbackRollout({ rolloutId, requestId, reason });
  /** Spawns and rekeys; returns the rollout's id. */
  const rekeyed = async (slug: string, children: string[] = []) => {
    const { agentId: parentAgentId } = await fleet.spawn(slug);
    for (const child of children) await fleet.spawn(child, { parentAgentId });
    const { rollout } = await fleet.rekey(slug);
    await fleet.settled(rollout?.rolloutId ?? "");
    return rollout?.rolloutId ?? "";
  };
  const asked = (path: string) =>
    fleet.catalog.snapshots.flatMap(({ agents }) => agents).filter((it) => it.path === path);

  it("is a new generation with the pins from before, for every agent of the rollout", async () => {
    const rolloutId = await rekeyed("back", ["child"]);
    const { rollout } = await rollBack(rolloutId, undefined, "bad key");
    const { targets } = await fleet.settled(rollout?.rolloutId ?? "");
    expect([...targets.values()].map((it) => [it.path, it.generation, it.state])).toEqual([
      ["back", 3n, APPLIED],
      ["back/child", 3n, APPLIED],
    ]);
    expect(asked("back").at(-1)).toMatchObject({ rollbackToGeneration: 1n });
    expect(asked("back/child").at(-1)).toMatchObject({ rollbackToGeneration: 1n });
    expect(rollout).toMatchObject({
      ...{ kind: RolloutKind.ROLLOUT_KIND_ROLLBACK, rollsBack: rolloutId },
      ...{ path: "back", workspace: "backend", reason: "bad key" },
    });
    const { rollout: undone } = await fleet.owner.rollouts.getRollout({ rolloutId });
    expect(undone).toMatchObject({
      ...{ kind: RolloutKind.ROLLOUT_KIND_REKEY, rollsBack: "" },
      rolledBackBy: rollout?.rolloutId,
    });
  });

  it("can itself be taken back", async () => {
    const first = await rollBack(await rekeyed("forth"));
    await fleet.settled(first.rollout?.rolloutId ?? "");
    const second = await rollBack(first.rollout?.rolloutId ?? "");
    expect(second.targets).toMatchObject([{ path: "forth", generation: 4n }]);
    expect(asked("forth").at(-1)).toMatchObject({ rollbackToGeneration: 2n });
  });

  it("lists what stays as it is because it was deleted or revoked since", async () => {
    const rolloutId = await rekeyed("listed");
    fleet.catalog.notRolledBackNames = ["API_KEY"];
    const { warnings } = await rollBack(rolloutId);
    expect(warnings).toEqual([
      '"API_KEY" was deleted, revoked or taken away since: it stays as it is now',
    ]);
  });

  it("returns the first rollback to a repeated request id, and refuses it for another", async () => {
    const [one, two] = [await rekeyed("same"), await rekeyed("other")];
    const first = await rollBack(one, "back-1");
    const again = await rollBack(one, "back-1");
    expect(again.rollout?.rolloutId).toBe(first.rollout?.rolloutId);
    await expect(rollBack(two, "back-1")).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    });
  });

  it("leaves out, with the reason, who came too late to have anything to go back to", async () => {
    const quiet = await fleet.connect(fleet.machine("vm-quiet"));
    const { agentId: parentAgentId } = await fleet.spawn("joined", { vm: "vm-quiet" });
    const { rollout } = await fleet.rekey("joined");
    await fleet.spawn("late", { parentAgentId, vm: "vm-quiet" });
    const { targets } = await rollBack(rollout?.rolloutId ?? "");
    expect(targets).toMatchObject([
      { path: "joined", generation: 3n, state: TargetState.TARGET_STATE_PENDING },
      { path: "joined/late", generation: 1n, state: SKIPPED, reason: NOTHING },
    ]);
    quiet.close();
  });

  it("is refused, and writes nothing, when no agent has anything to go back to", async () => {
    const rolloutId = await rekeyed("nothing");
    const why = 'generation 1 of agent "nothing" is not kept any more';
    fleet.catalog.beforeSnapshot = ({ agents }) => {
      const reason = ErrorReason.ERROR_REASON_GENERATION_NOT_AVAILABLE;
      const agentId = agents[0]?.agentId ?? "";
      if (agentId !== "") throw failedPrecondition(reason, why, { agent_id: agentId });
    };
    await expect(rollBack(rolloutId)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: ErrorReason.ERROR_REASON_NOTHING_TO_ROLL_BACK,
      message: `rollout "${rolloutId}" has nothing to go back to: agent "nothing": ${why}`,
    });
    const { rollout } = await fleet.owner.rollouts.getRollout({ rolloutId });
    expect(rollout?.rolledBackBy).toBe("");
  });

  it("is refused when all of its agents are over", async () => {
    const rolloutId = await rekeyed("over");
    const { agent } = await fleet.owner.agents.getAgent({ workspace: "backend", path: "over" });
    vm.report(agent?.agentId ?? "", AgentPhase.AGENT_PHASE_COMPLETED, {
      how: { $case: "code", value: 0 },
    });
    await eventually(async () => {
      await expect(rollBack(rolloutId)).rejects.toMatchObject({
        reason: ErrorReason.ERROR_REASON_NOTHING_TO_ROLL_BACK,
        message: `rollout "${rolloutId}" has nothing to go back to: its agents are over`,
      });
    });
  });

  it("moves no agent back that was rekeyed meanwhile, and closes by the later ack", async () => {
    const rolloutId = await rekeyed("race");
    let isFirst = true;
    fleet.catalog.afterSnapshot = async ({ agents }) => {
      if (!isFirst || agents[0]?.rollbackToGeneration === undefined) return;
      isFirst = false;
      const { rollout } = await fleet.rekey("race");
      await fleet.settled(rollout?.rolloutId ?? "");
    };
    const { rollout, targets } = await rollBack(rolloutId);
    fleet.catalog.afterSnapshot = () => undefined;
    expect(targets).toMatchObject([{ generation: 3n, state: APPLIED }]);
    expect(rollout?.state).toBe(RolloutState.ROLLOUT_STATE_COMPLETED);
    const { agent } = await fleet.owner.agents.getAgent({ workspace: "backend", path: "race" });
    expect(agent).toMatchObject({ desiredGeneration: 4n, appliedGeneration: 4n });
  });

  describe("whose generation the catalog lost before its VM took it", () => {
    const REFUSED = "fetch: the generation is not available";
    /** Rolls an agent back, and its VM cannot get what is wanted. */
    const lost = async (slug: string) => {
      const quiet = await fleet.connect(fleet.machine(`vm-${slug}`));
      const { agentId } = await fleet.spawn(slug, { vm: `vm-${slug}` });
      const wanted = (generation: bigint) =>
        eventually(() => {
          expect(quiet.desired.get(agentId)?.generation).toBe(generation);
        });
      await wanted(1n);
      quiet.ack(agentId);
      const { rollout } = await fleet.rekey(slug);
      await wanted(2n);
      quiet.ack(agentId);
      await fleet.settled(rollout?.rolloutId ?? "");
      await rollBack(rollout?.rolloutId ?? "");
      await wanted(3n);
      const refuse = () => {
        quiet.ack(agentId, { outcome: AckOutcome.ACK_OUTCOME_FAILED, reason: REFUSED });
      };
      return { quiet, wanted, refuse };
    };

    it("is made again with the same pins, however often it is lost", async () => {
      const { quiet, wanted, refuse } = await lost("lost");
      refuse();
      await wanted(4n);
      refuse();
      await wanted(5n);
      expect(asked("lost").map((it) => it.rollbackToGeneration)).toEqual([
        ...[undefined, undefined, 1n, 1n, 1n],
      ]);
      quiet.close();
    });

    it("is made with the current ones when those are gone, too", async () => {
      const { quiet, wanted, refuse } = await lost("gone");
      fleet.catalog.beforeSnapshot = ({ agents }) => {
        if (agents[0]?.rollbackToGeneration === undefined) return;
        const reason = ErrorReason.ERROR_REASON_GENERATION_NOT_AVAILABLE;
        throw failedPrecondition(reason, "not kept", { agent_id: agents[0].agentId });
      };
      refuse();
      await wanted(4n);
      expect(asked("gone").at(-1)?.rollbackToGeneration).toBeUndefined();
      quiet.close();
    });
  });

  it("is for those who may rekey its agents, and refused to a VM", async () => {
    const rolloutId = await rekeyed("whose");
    const request = { rolloutId, requestId: randomUUID(), reason: "" };
    await expect(
      fleet.developer("github/bob").rollouts.rollbackRollout(request),
    ).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    const { rollouts } = fleet.rotation.clients(fleet.machine("vm-3").credentials);
    await expect(rollouts.rollbackRollout(request)).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_NOT_SUPPORTED_ON_VM,
    });
  });

  it("is in the audit, with the rollout that it takes back", async () => {
    const rolloutId = await rekeyed("audited");
    const { rollout } = await rollBack(rolloutId);
    const { rows } = await fleet.rotation.database.pool.query(
      `select actor_id, action, outcome, detail->>'rollsBack' as of from rotation.audit
       where object_id = $1`,
      [rollout?.rolloutId],
    );
    expect(rows).toEqual([
      { actor_id: "github/alice", action: "rollout.rollback", outcome: "ok", of: rolloutId },
    ]);
  });

  it.each(["", "nonsense", "6a1d2f0e-5b7c-4d3e-8f9a-0b1c2d3e4f50"])(
    "knows no rollout %p",
    async (rolloutId) => {
      await expect(rollBack(rolloutId)).rejects.toMatchObject({
        code: "NOT_FOUND",
        message: `no rollout "${rolloutId}"`,
      });
    },
  );

  it.each([
    ["request_id", { requestId: "x".repeat(129) }],
    ["reason", { reason: "é".repeat(513) }],
    ["reason", { reason: "a\0b" }],
  ])("refuses a wrong %s by its name", async (field, change) => {
    const request = { rolloutId: randomUUID(), requestId: "", reason: "", ...change };
    await expect(fleet.owner.rollouts.rollbackRollout(request)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      metadata: { field },
    });
  });
});
