import { randomUUID } from "node:crypto";
import { SecretScope } from "../../../gen/murmur/catalog/v1/environments";
import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { type RolloutSelection, TargetState } from "../../../gen/murmur/rotation/v1/rollouts";
import { startFleet, type Fleet } from "../../../test/harness/fleet";

const { TARGET_STATE_APPLIED: APPLIED } = TargetState;
const ALL: RolloutSelection = { workspace: "backend", which: { $case: "all", value: true } };
const HOLDERS: RolloutSelection = { workspace: "", which: { $case: "secretName", value: "A" } };

describe("a rekey of many agents", () => {
  let fleet: Fleet;

  beforeEach(async () => {
    fleet = await startFleet();
    const machine = fleet.machine("vm-1");
    for (const name of ["backend", "frontend"])
      fleet.catalog.workspaces.set(`t1/${name}`, ["vm-1"]);
    await fleet.connect(machine, { isObedient: true });
  });
  afterEach(() => fleet.stop());

  const rekey = (selection: RolloutSelection, requestId: string = randomUUID(), by = fleet.owner) =>
    by.rollouts.rekeyAgents({ selection, requestId, reason: "why" });
  const preview = (selection: RolloutSelection) => fleet.owner.rollouts.previewRekey({ selection });
  /** Makes the catalog say that these agents' generations pin the secret. */
  const pinnedBy = (...agentIds: string[]) => {
    fleet.catalog.findPins = ({ generations }) => ({
      pins: generations
        .filter(({ agentId }) => agentIds.includes(agentId))
        .map((it) => ({ ...it, version: 1n, scope: SecretScope.SECRET_SCOPE_TENANT })),
      ...{ unknown: [], hadAgentIds: agentIds },
    });
  };
  const settle = async (rolloutId = "") =>
    [...(await fleet.settled(rolloutId)).targets.values()].map((it) => [it.path, it.state]);

  it("with all reaches every living agent of the workspace, trees and all, as one rollout", async () => {
    const { agentId: parentAgentId } = await fleet.spawn("one");
    await fleet.spawn("child", { parentAgentId });
    await fleet.spawn("two");
    await fleet.spawn("elsewhere", { workspace: "frontend" });
    const { rollout } = await rekey(ALL);
    expect(await settle(rollout?.rolloutId)).toEqual([
      ["one", APPLIED],
      ["one/child", APPLIED],
      ["two", APPLIED],
    ]);
    expect(rollout).toMatchObject({
      ...{ workspace: "backend", path: "", secretName: "", reason: "why" },
    });
  });

  it("with a secret reaches its holders with their trees, in every workspace or in one", async () => {
    const { agentId: holder } = await fleet.spawn("holder");
    await fleet.spawn("child", { parentAgentId: holder });
    await fleet.spawn("without");
    const { agentId: other } = await fleet.spawn("other", { workspace: "frontend" });
    pinnedBy(holder, other);
    const { rollout } = await rekey(HOLDERS);
    expect((await settle(rollout?.rolloutId)).map(([path]) => path)).toEqual([
      ...["holder", "holder/child", "other"],
    ]);
    expect(rollout).toMatchObject({ workspace: "", path: "", secretName: "A" });
    const inOne = await rekey({ ...HOLDERS, workspace: "frontend" });
    expect(inOne.targets.map(({ path }) => path)).toEqual(["other"]);
  });

  it("with holders that the catalog named reaches those of them that live, with their trees", async () => {
    const { agentId: holder } = await fleet.spawn("holder");
    await fleet.spawn("child", { parentAgentId: holder });
    await fleet.spawn("without");
    const named = (...agentIds: string[]): RolloutSelection => ({
      workspace: "",
      which: { $case: "holders", value: { secretName: "A", agentIds } },
    });
    const { rollout } = await rekey(named(holder, randomUUID()), "named");
    expect((await settle(rollout?.rolloutId)).map(([path]) => path)).toEqual([
      ...["holder", "holder/child"],
    ]);
    expect(rollout).toMatchObject({ workspace: "", path: "", secretName: "A" });
    await expect(rekey(named(holder), "named")).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    });
    await expect(rekey(named(randomUUID()))).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(rekey(named())).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("can be taken back as a whole", async () => {
    await fleet.spawn("one");
    await fleet.spawn("two");
    const { rollout } = await rekey(ALL);
    await settle(rollout?.rolloutId);
    const rolloutId = rollout?.rolloutId ?? "";
    const back = await fleet.owner.rollouts.rollbackRollout({
      ...{ rolloutId, requestId: randomUUID(), reason: "" },
    });
    expect(back.rollout).toMatchObject({ rollsBack: rolloutId, workspace: "backend", path: "" });
    expect(back.targets.map(({ path, generation }) => [path, generation])).toEqual([
      ["one", 3n],
      ["two", 3n],
    ]);
  });

  it("is joined by an agent that is spawned below one of it while it is open", async () => {
    const quiet = await fleet.connect(fleet.machine("vm-quiet"));
    const { agentId: parentAgentId } = await fleet.spawn("parent", { vm: "vm-quiet" });
    const { rollout } = await rekey(ALL);
    await fleet.spawn("late", { parentAgentId, vm: "vm-quiet" });
    await fleet.spawn("stranger", { vm: "vm-quiet" });
    const { targets } = await fleet.owner.rollouts.getRollout({
      rolloutId: rollout?.rolloutId ?? "",
    });
    expect(targets.map(({ path }) => path)).toEqual(["parent", "parent/late"]);
    quiet.close();
  });

  it("returns the first rollout to a repeated request id, and refuses it for another", async () => {
    const { agentId } = await fleet.spawn("one");
    pinnedBy(agentId);
    const first = await rekey(ALL, "again");
    const { rollout } = await rekey(ALL, "again");
    expect(rollout?.rolloutId).toBe(first.rollout?.rolloutId);
    await expect(rekey(HOLDERS, "again")).rejects.toMatchObject({
      reason: ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
    });
  });

  it("is refused when nobody is in it", async () => {
    await expect(rekey(ALL)).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: 'no living agent in workspace "backend"',
    });
    await fleet.spawn("one");
    await expect(rekey(HOLDERS)).rejects.toMatchObject({
      message: 'no living agent has secret "A"',
    });
    await expect(preview(HOLDERS)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("is for those who may rekey every one of it", async () => {
    await fleet.spawn("alices");
    const bob = fleet.developer("github/bob");
    await expect(rekey(ALL, undefined, bob)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await expect(bob.rollouts.previewRekey({ selection: ALL })).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
    });
    const alice = fleet.developer("github/alice");
    expect((await rekey(ALL, undefined, alice)).targets).toHaveLength(1);
    const { rollouts } = fleet.rotation.clients(fleet.machine("vm-3").credentials);
    const request = { selection: ALL, requestId: "", reason: "" };
    const refusal = { reason: ErrorReason.ERROR_REASON_NOT_SUPPORTED_ON_VM };
    await expect(rollouts.rekeyAgents(request)).rejects.toMatchObject(refusal);
    await expect(rollouts.previewRekey(request)).rejects.toMatchObject(refusal);
  });

  it.each<[string, RolloutSelection | undefined]>([
    ["no selection", undefined],
    ["one that says nothing", { workspace: "backend", which: undefined }],
    ["all as false", { workspace: "backend", which: { $case: "all", value: false } }],
    [
      "holders of a secret without a name",
      { workspace: "", which: { $case: "holders", value: { secretName: "", agentIds: [] } } },
    ],
    [
      "holders that are no agents",
      { workspace: "", which: { $case: "holders", value: { secretName: "A", agentIds: ["x"] } } },
    ],
    ["a secret without a name", { workspace: "", which: { $case: "secretName", value: "" } }],
  ])("refuses %s by its name", async (_, selection) => {
    const { rollouts } = fleet.owner;
    const refusal = { code: "INVALID_ARGUMENT", metadata: { field: "selection" } };
    const request = { selection, requestId: "", reason: "" };
    await expect(rollouts.rekeyAgents(request)).rejects.toMatchObject(refusal);
    await expect(rollouts.previewRekey(request)).rejects.toMatchObject(refusal);
  });

  it("previews who would change, alike ones together, and makes no generation", async () => {
    await fleet.spawn("one");
    await fleet.spawn("two");
    fleet.catalog.preview = { changedNames: ["A"], missingNames: ["LOST"] };
    const { changes, warnings } = await preview(ALL);
    expect(changes).toMatchObject([
      { agents: [{ path: "one" }, { path: "two" }], changedNames: ["A"], refusal: "" },
    ]);
    expect(warnings).toEqual([
      'secret "LOST" in secret_refs of workspace "backend" does not exist',
    ]);
    expect(fleet.catalog.snapshots).toHaveLength(2);
    const one = await preview({ workspace: "backend", which: { $case: "path", value: "one" } });
    expect(one.changes).toMatchObject([{ agents: [{ path: "one" }] }]);
  });

  it("previews as left out whose record was changed by other hands", async () => {
    const { agentId } = await fleet.spawn("one");
    await fleet.rotation.database.pool.query(
      `update rotation.agents set developer = 'github/mallory' where agent_id = $1`,
      [agentId],
    );
    expect((await preview(ALL)).changes).toMatchObject([
      {
        agents: [{ path: "one" }],
        refusal: expect.stringContaining("changed by other hands") as string,
      },
    ]);
  });
});
