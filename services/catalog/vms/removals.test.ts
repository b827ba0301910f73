import { ErrorReason } from "../../../gen/murmur/errors/v1/error_reason";
import { generateIdentity, joinAs, joinRequest, renewRequest } from "./test-register";
import {
  REFUSED_JOIN,
  startRegisterReplicas,
  type RegisterReplicas,
} from "../../../test/harness/register-replicas";

let replicas: RegisterReplicas;
let database: RegisterReplicas["database"];
let register: RegisterReplicas["register"];
let other: RegisterReplicas["other"];
beforeAll(async () => {
  replicas = await startRegisterReplicas();
  ({ database, register, other } = replicas);
});
afterAll(() => replicas.stop());

describe("removal", () => {
  it("ends renewal on every replica from the moment at which it returns", async () => {
    const vm = await joinAs(register, "remove-1");
    const admin = await register.developer();
    expect(await admin.vms.removeVm({ name: "remove-1" })).toEqual({ vmId: vm.joined.vmId });
    for (const { connect } of [register, other]) {
      const renewal = connect().vms.renewVmToken(renewRequest(vm.joined.vmId, vm.identity));
      await expect(renewal).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    }
    await expect(admin.vms.removeVm({ name: "remove-1" })).rejects.toMatchObject({
      code: "NOT_FOUND",
      reason: ErrorReason.ERROR_REASON_VM_NOT_FOUND,
      message: 'VM "remove-1" not found',
    });
  });

  it("is not undone by a writer of the database", async () => {
    const vm = await joinAs(register, "remove-2");
    await (await register.developer()).vms.removeVm({ name: "remove-2" });
    await database.pool.query("update catalog.vms set removed_at = null where id = $1", [
      vm.joined.vmId,
    ]);
    const renewal = register.connect().vms.renewVmToken(renewRequest(vm.joined.vmId, vm.identity));
    await expect(renewal).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("ends a waiting join token of the name, and a spent one does not bring the VM back", async () => {
    const vm = await joinAs(register, "remove-3");
    const waiting = await replicas.issue("remove-3");
    await (await register.developer()).vms.removeVm({ name: "remove-3" });
    const join = (token: string, identity = generateIdentity()) =>
      register.connect().vms.joinVm(joinRequest(token, identity));
    await expect(join(waiting)).rejects.toMatchObject(REFUSED_JOIN);
    await expect(join(vm.joinToken, vm.identity)).rejects.toMatchObject(REFUSED_JOIN);
  });

  it("of a name lets a new machine have it, as another VM", async () => {
    const first = await joinAs(register, "remove-4");
    await (await register.developer()).vms.removeVm({ name: "remove-4" });
    const second = await joinAs(register, "remove-4");
    expect(second.joined.vmId).not.toBe(first.joined.vmId);
  });

  it("does not reach into another tenant", async () => {
    await joinAs(register, "remove-5", "umbrella");
    const removed = (await register.developer("acme")).vms.removeVm({ name: "remove-5" });
    await expect(removed).rejects.toMatchObject({ code: "NOT_FOUND" });
    const listed = await (
      await register.developer("acme")
    ).vms.listVms({
      pageSize: 1000,
      pageToken: "",
    });
    expect(listed.vms.map(({ name }) => name)).not.toContain("remove-5");
  });

  it("is told to the rotation service in the order of the commits, without a gap", async () => {
    const rotation = register.service("rotation");
    const { removed: before } = await rotation.vms.listRemovedVms({ afterSequence: 0n });
    const last = before.at(-1)?.sequence ?? 0n;
    const names = Array.from({ length: 10 }, (_, at) => `bulk-${at}`);
    const vms = await Promise.all(names.map((name) => joinAs(register, name)));
    const admin = await register.developer();
    const seen: bigint[] = [];
    const removals = { areOver: false };
    const removing = Promise.all(names.map((name) => admin.vms.removeVm({ name }))).finally(
      () => (removals.areOver = true),
    );
    let after = last;
    const look = async () => {
      const { removed } = await rotation.vms.listRemovedVms({ afterSequence: after });
      seen.push(...removed.map(({ sequence }) => sequence));
      after = removed.at(-1)?.sequence ?? after;
    };
    while (!removals.areOver) await look();
    await removing;
    await look();
    expect(seen).toEqual(names.map((_, at) => last + 1n + BigInt(at)));
    const all = await rotation.vms.listRemovedVms({ afterSequence: last });
    expect(new Set(all.removed.map(({ vmId }) => vmId))).toEqual(
      new Set(vms.map(({ joined }) => joined.vmId)),
    );
    const restored = await rotation.vms.listRemovedVms({ afterSequence: 10n ** 12n });
    expect(restored.removed[0]?.sequence).toBe(1n);
  });
});
