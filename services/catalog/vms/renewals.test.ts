import { randomBytes } from "node:crypto";
import { rawPublicKey, thumbprint } from "../../../lib/identity/signing-key";
import { FakeClock } from "../../../test/fakes/fake-clock";
import { generateIdentity, joinAs, renewRequest, startTestRegister } from "./test-register";
import {
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

describe("renewal", () => {
  it("gives the holder of the key a token of 5 minutes, as often as asked", async () => {
    const vm = await joinAs(register, "renew-1");
    for (const { connect } of [register, other, register]) {
      const beforeMs = Date.now();
      const renewed = await connect().vms.renewVmToken(renewRequest(vm.joined.vmId, vm.identity));
      const expiresMs = renewed.vmTokenExpiresAt!.getTime();
      // Tokens tell times in whole seconds.
      expect(expiresMs).toBeGreaterThan(beforeMs + 298_000);
      expect(expiresMs).toBeLessThan(Date.now() + 302_000);
      expect(renewed).toMatchObject({ tenantId: "acme", name: "renew-1" });
    }
  });

  it("refuses unknown and removed VMs, wrong keys, stale times and garbage alike, with its time", async () => {
    const vm = await joinAs(register, "renew-2");
    const gone = await joinAs(register, "renew-3");
    await (await register.developer()).vms.removeVm({ name: "renew-3" });
    const { vmId } = vm.joined;
    const good = renewRequest(vmId, vm.identity);
    const minutes = (count: number) => new Date(Date.now() + count * 60_000);
    const bad = [
      renewRequest("00000000-0000-4000-8000-000000000000", vm.identity),
      renewRequest(gone.joined.vmId, gone.identity),
      renewRequest(vmId, generateIdentity()),
      renewRequest(vmId, vm.identity, minutes(-6)),
      renewRequest(vmId, vm.identity, minutes(6)),
      { ...good, vmId: "" },
      { ...good, vmId: `${vmId}\0` },
      { ...good, nonce: Buffer.alloc(0) },
      { ...good, nonce: Buffer.alloc(17) },
      { ...good, nonce: randomBytes(16) },
      { ...good, signature: Buffer.alloc(0) },
      { ...good, signature: Buffer.alloc(64, 7) },
      { ...good, signedAt: undefined },
      { ...good, signedAt: minutes(1) },
    ];
    const { vms } = register.connect();
    for (const request of bad) {
      const refused: unknown = await vms.renewVmToken(request).catch((error: unknown) => error);
      expect(refused).toMatchObject({
        code: "UNAUTHENTICATED",
        message: "VM is unknown, or its signature or time is wrong",
        metadata: { server_time_ms: expect.stringMatching(/^\d{13}$/) as string },
      });
    }
    await expect(vms.renewVmToken(good)).resolves.toMatchObject({ name: "renew-2" });
  });

  it("takes a signature once", async () => {
    const vm = await joinAs(register, "renew-4");
    const request = renewRequest(vm.joined.vmId, vm.identity);
    await register.connect().vms.renewVmToken(request);
    const replayed = register.connect().vms.renewVmToken(request);
    await expect(replayed).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("refuses a signature up to the moment at which its time is too old anyway", async () => {
    const clock = new FakeClock(new Date());
    const timed = await startTestRegister({ pool: database.pool, keys: replicas.keys, clock });
    try {
      const vm = await joinAs(timed, "renew-5");
      const early = new Date(clock.now().getTime() + 299_000);
      const request = renewRequest(vm.joined.vmId, vm.identity, early);
      const { vms } = timed.connect();
      await vms.renewVmToken(request);
      for (let minute = 1; minute <= 12; minute++) {
        await clock.advance(60_000);
        await expect(vms.renewVmToken(request)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
      }
      const fresh = renewRequest(vm.joined.vmId, vm.identity, clock.now());
      await expect(vms.renewVmToken(fresh)).resolves.toBeDefined();
    } finally {
      await timed.stop();
    }
  });

  it("audits the use of a VM's name without its key, at most once a minute", async () => {
    const vm = await joinAs(register, "renew-6");
    const attack = () =>
      register.connect().vms.renewVmToken(renewRequest(vm.joined.vmId, generateIdentity()));
    for (let count = 0; count < 3; count++) await expect(attack()).rejects.toBeDefined();
    const rows = await replicas.audited("vm.renew", "refused");
    expect(rows.filter(({ object_id }) => object_id === vm.joined.vmId)).toHaveLength(1);
  });

  it("gives nothing to a key that was planted in the database", async () => {
    const vm = await joinAs(register, "renew-7");
    const planted = generateIdentity();
    await database.pool.query(
      "update catalog.vms set identity_key = $2, key_thumbprint = $3 where id = $1",
      [vm.joined.vmId, rawPublicKey(planted.publicKey), thumbprint(planted.publicKey)],
    );
    const { vms } = other.connect();
    const { vmId } = vm.joined;
    await expect(vms.renewVmToken(renewRequest(vmId, planted))).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
  });
});
