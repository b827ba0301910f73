import { randomUUID } from "node:crypto";
import { SecretDelivery } from "../../gen/murmur/catalog/v1/secrets";
import { ErrorReason } from "../../gen/murmur/errors/v1/error_reason";
import { RolloutState, TargetState } from "../../gen/murmur/rotation/v1/rollouts";
import { connectVm, spawnRequest, type ScriptedVm } from "../../test/fakes/scripted-vm";
import { startCatalog, type TestCatalog } from "../../test/harness/catalog";
import { eventually } from "../../test/harness/eventually";
import {
  startRotation,
  type RotationClients,
  type TestRotation,
} from "../../test/harness/rotation";

describe("the main path with the real catalog", () => {
  let catalog: TestCatalog;
  let rotation: TestRotation;
  let vm: ScriptedVm;
  let alice: RotationClients;

  beforeAll(async () => {
    catalog = await startCatalog();
    rotation = await startRotation({ catalog });
    const credentials = catalog.developer({ tenantId: "t1" });
    alice = rotation.clients(credentials);
    const { workspaces, secrets } = catalog.clients(credentials);
    await workspaces.setWorkspace({
      ...{ name: "backend", description: undefined, vms: [], expectedRevision: undefined },
      secretRefs: { names: ["API_KEY", "ABSENT"] },
    });
    await secrets.setSecret({
      ...{ name: "API_KEY", plaintextValue: Buffer.from("v1"), description: undefined },
      ...{ createdAt: undefined, expectedVersion: undefined, requestId: "" },
      delivery: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT,
    });
    const machine = await catalog.joinVm("t1", "vm-1");
    const client = rotation.clients(machine.credentials).vmSync;
    vm = await connectVm({ client, isObedient: true });
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
    const warning = 'secret "ABSENT" in secret_refs of workspace "backend" does not exist';
    expect(spawned.warnings).toEqual([warning]);
    await eventually(async () => {
      const { agent } = await alice.agents.getAgent({ workspace: "backend", path: "fix-auth" });
      expect(agent).toMatchObject({ desiredGeneration: 1n, appliedGeneration: 1n });
    });
    const { rollout, warnings } = await alice.rollouts.rekeyAgent({
      ...{ workspace: "backend", path: "fix-auth", requestId: randomUUID(), reason: "drill" },
    });
    expect(rollout).toMatchObject({ unchanged: true, reason: "drill" });
    expect(warnings).toEqual([warning]);
    const states: RolloutState[] = [];
    let last: TargetState | undefined;
    const watched = alice.rollouts.watchRollout({ rolloutId: rollout?.rolloutId ?? "" });
    for await (const change of watched) {
      if (change.rollout) states.push(change.rollout.state);
      last = change.targets.find((target) => target.agentId === agentId)?.state ?? last;
    }
    expect(states.at(-1)).toBe(RolloutState.ROLLOUT_STATE_COMPLETED);
    expect(last).toBe(TargetState.TARGET_STATE_APPLIED);
    expect(vm.desired.get(agentId)?.generation).toBe(2n);
  });

  it("tells the catalog what is still needed, so that nothing that is desired expires", async () => {
    await eventually(async () => {
      const { rows } = await rotation.database.pool.query(
        "select from rotation.agents where release_due",
      );
      expect(rows).toEqual([]);
    });
  });

  it("takes a rollout back to the versions from before, but for what was deleted since", async () => {
    const { secrets } = catalog.clients(catalog.developer({ tenantId: "t1" }));
    const named = { workspace: "backend", path: "undone" };
    const write = (value: string) =>
      secrets.setSecret({
        ...{ name: "API_KEY", plaintextValue: Buffer.from(value), description: undefined },
        ...{ createdAt: undefined, expectedVersion: undefined, requestId: "" },
        delivery: SecretDelivery.SECRET_DELIVERY_ENVIRONMENT,
      });
    const rekey = async () => {
      const request = { ...named, requestId: randomUUID(), reason: "" };
      return (await alice.rollouts.rekeyAgent(request)).rollout?.rolloutId ?? "";
    };
    const rollBack = (rolloutId: string) =>
      alice.rollouts.rollbackRollout({ rolloutId, requestId: randomUUID(), reason: "" });
    const { agent } = await alice.agents.spawnAgent(
      spawnRequest({ workspace: "backend", slug: "undone" }),
    );
    // The catalog may forget earlier ones as soon as it is acked.
    const newestSet = async () => {
      const { rows } = await catalog.database.pool.query<{ id: string }>(
        `select encode(set_id, 'hex') as id from catalog.generations
         where agent_id = $1 order by generation desc limit 1`,
        [agent?.agentId],
      );
      return rows[0]?.id;
    };
    const first = await newestSet();
    expect(first).toBeDefined();
    await write("v2");
    const undone = await rekey();
    expect(await newestSet()).not.toBe(first);
    await rollBack(undone);
    expect(await newestSet()).toBe(first);

    const rolloutId = await rekey();
    await secrets.deleteSecret({ name: "API_KEY", expectedVersion: undefined });
    const { warnings } = await rollBack(rolloutId);
    expect(warnings).toContain(
      '"API_KEY" was deleted, revoked or taken away since: it stays as it is now',
    );
    await write("v3");
  });

  it("starts no agent without the spawn-time secrets that it was to have", async () => {
    const request = spawnRequest({ workspace: "backend", slug: "late", expectsSpawnSecrets: true });
    await expect(alice.agents.spawnAgent(request)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: ErrorReason.ERROR_REASON_SPAWN_SECRETS_GONE,
      message: 'spawn-time secrets of agent "late" are gone: spawn it again',
    });
    await expect(
      alice.agents.getAgent({ workspace: "backend", path: "late" }),
    ).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("refuses one agent whose spawn-time secrets another developer stored, not its tree", async () => {
    const named = { workspace: "backend", path: "family" };
    const parent = await alice.agents.spawnAgent(
      spawnRequest({ workspace: "backend", slug: "family" }),
    );
    const request = spawnRequest({
      ...{ workspace: "backend", slug: "child", parentAgentId: parent.agent?.agentId ?? "" },
    });
    const { agent } = await alice.agents.spawnAgent(request);
    await catalog.database.pool.query(
      `update catalog.agents set lease_owner_kind = 'developer', lease_owner_id = 'github/mallory'
       where agent_id = $1`,
      [agent?.agentId],
    );
    const { targets } = await alice.rollouts.rekeyAgent({ ...named, requestId: "r-2", reason: "" });
    expect(targets.map(({ path, reason }) => [path, reason])).toEqual([
      ["family", expect.any(String)],
      ["family/child", 'spawn-time secrets of agent "family/child" were stored by somebody else'],
    ]);
    expect(targets.map(({ generation }) => generation)).toEqual([2n, 1n]);
  });

  it("refuses a rekey and a spawn on a VM that was removed", async () => {
    const machine = await catalog.joinVm("t1", "vm-2");
    const request = spawnRequest({ workspace: "backend", slug: "removed", vm: machine.name });
    await alice.agents.spawnAgent(request);
    const { vms } = catalog.clients(catalog.developer({ tenantId: "t1" }));
    await vms.removeVm({ name: "vm-2" });
    const rekey = { workspace: "backend", path: "removed", requestId: "r", reason: "" };
    await expect(alice.rollouts.rekeyAgent(rekey)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: 'agent "removed" is cancelled',
    });
    await expect(
      alice.agents.spawnAgent({ ...request, agentId: randomUUID() }),
    ).rejects.toMatchObject({ code: "NOT_FOUND", message: 'no VM "vm-2"' });
  });
});
