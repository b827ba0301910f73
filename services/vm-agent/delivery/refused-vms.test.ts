import { randomBytes, randomUUID, sign } from "node:crypto";
import { systemClock } from "../../../lib/clock";
import { issueVmToken } from "../../../lib/identity/claims";
import { sessionCredentials } from "../../../lib/identity/credentials";
import { sessionRequestMessage } from "../../../lib/identity/signed-messages";
import { thumbprint } from "../../../lib/identity/signing-key";
import { sensitive } from "../../../lib/sensitive";
import { startTestRegister } from "../../catalog/vms/test-register";
import {
  never,
  startTestDelivery,
  type TestDelivery,
  variable,
} from "../../../test/harness/delivery";
import type { DeliveryClient } from "./delivery-session";

const notAvailable = expect.objectContaining({ refusal: "not-available" }) as unknown;

let rig: TestDelivery;
beforeAll(async () => {
  rig = await startTestDelivery();
});
afterAll(() => rig.stop());

describe("nothing is got by a VM that", () => {
  it("asks for another VM's environment, or another tenant's", async () => {
    const ours = await rig.createVm("nothing-1");
    const others = await rig.createVm("nothing-2");
    const foreign = await rig.createVm("nothing-1", "umbrella");
    const refs = [others, foreign].map((vm) => vm.add({ variables: [variable("A", "1")] }));
    expect(await ours.fetch(refs, never)).toEqual([notAvailable, notAvailable]);
  });

  it("asks for a generation that never was, or one below its floor", async () => {
    const vm = await rig.createVm("nothing-3");
    const old = vm.add({ generation: 3n, floor: 4n, variables: [variable("A", "1")] });
    const unknown = { agentId: randomUUID(), generation: 1n };
    const bad = ["", "x", "a\0b", "é".repeat(40)].map((agentId) => ({ agentId, generation: 1n }));
    const extreme = [-1n, 0n, 2n ** 63n - 1n].map((generation) => ({ ...old, generation }));
    const fetched = await vm.fetch([old, unknown, ...bad, ...extreme], never);
    expect(fetched).toEqual(Array.from({ length: 9 }, () => notAvailable));
  });

  it("has another's token but not its key, or its key but no session", async () => {
    const vm = await rig.createVm("nothing-4");
    const thief = await rig.createVm("nothing-5");
    const ref = vm.add({ variables: [variable("A", "1")] });
    const stolen = rig.register.vm(thief.identity.key, vm.joined.vmToken).delivery;
    const asThief = thief.deliveryFrom(stolen);
    await expect(asThief.fetch([ref], never)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await vm.fetch([ref], never);
    const request = { nonce: randomBytes(16), environments: [ref], sessionId: randomUUID() };
    // Nor with all that goes over the wire in the clear: token, session and a proof of its own.
    const guess = { id: randomUUID(), proofKey: sensitive(randomBytes(32)) };
    const token = () => Promise.resolve(sensitive(vm.joined.vmToken));
    const credentials = sessionCredentials(guess, token, systemClock);
    await expect(stolen.fetchEnvironments(request, { credentials })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
    await expect(vm.client.fetchEnvironments(request)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
  });

  it("names another VM's session", async () => {
    const vm = await rig.createVm("nothing-6");
    const thief = await rig.createVm("nothing-7");
    const ref = thief.add({ variables: [variable("A", "1")] });
    let sessionId = "";
    const watching: DeliveryClient = {
      ...vm.client,
      openDeliverySession: async (...args) => {
        const answer = await vm.client.openDeliverySession(...args);
        sessionId = answer.sessionId;
        return answer;
      },
    };
    await vm.deliveryFrom(watching).fetch([vm.add()], never);
    const request = { nonce: randomBytes(16), environments: [ref], sessionId };
    await expect(thief.client.fetchEnvironments(request)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
    });
  });

  it("was removed: at once, on a replica that knew it a moment ago", async () => {
    const vm = await rig.createVm("nothing-8");
    const ref = vm.add({ variables: [variable("A", "1")] });
    expect((await vm.fetch([ref], never))[0]).toHaveProperty("set");
    const other = await startTestRegister({ pool: rig.database.pool, keys: rig.keys });
    await (await other.developer()).vms.removeVm({ name: "nothing-8" });
    await other.stop();
    await expect(vm.fetch([ref], never)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("lost its name to a machine that joined after it", async () => {
    const vm = await rig.createVm("nothing-9");
    const ref = vm.add({ variables: [variable("A", "1")] });
    await vm.fetch([ref], never);
    const heir = await rig.createVm("nothing-9");
    expect(heir.joined.vmId).toBe(vm.joined.vmId);
    await expect(vm.fetch([ref], never)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    expect((await heir.fetch([ref], never))[0]).toHaveProperty("set");
  });

  it("stands in the database with a key that the catalog did not write", async () => {
    const vm = await rig.createVm("nothing-10");
    const victim = await rig.createVm("nothing-11");
    const ref = victim.add({ variables: [variable("A", "1")] });
    // The thief's row is given the victim's id, key and MAC included.
    await rig.database.pool.query("delete from catalog.vms where id = $1", [victim.joined.vmId]);
    await rig.database.pool.query("update catalog.vms set id = $2 where id = $1", [
      vm.joined.vmId,
      victim.joined.vmId,
    ]);
    // Even with a token, which no renewal would give it.
    const token = await issueVmToken(rig.keys.catalog, {
      ...{ tenantId: "acme", vmId: victim.joined.vmId, name: "nothing-11", ttlSeconds: 300 },
      keyThumbprint: thumbprint(vm.identity.key.publicKey),
    });
    const thief = vm.deliveryFrom(rig.register.vm(vm.identity.key, token).delivery);
    vm.identity.state.vmId = victim.joined.vmId;
    await expect(thief.fetch([ref], never)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });
});

describe("bad input", () => {
  it("is named field by field when a session is opened", async () => {
    const { client } = await rig.createVm("bad-1");
    const empty = Buffer.alloc(0);
    const call = client.openDeliverySession({
      hpkePublicKey: Buffer.alloc(31),
      incarnation: empty,
      signature: empty,
    });
    await expect(call).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [
        { field: "hpke_public_key", description: "hpke_public_key must be 32 bytes" },
        { field: "incarnation", description: "incarnation must be 16 bytes" },
        { field: "signature", description: "signature must be 64 bytes" },
      ],
    });
  });

  it("in a session's signature is refused as unauthenticated", async () => {
    const { client } = await rig.createVm("bad-2");
    const call = client.openDeliverySession({
      hpkePublicKey: randomBytes(32),
      incarnation: randomBytes(16),
      signature: randomBytes(64),
    });
    await expect(call).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("of low order is no key", async () => {
    const vm = await rig.createVm("bad-3");
    const request = { incarnation: randomBytes(16), hpkePublicKey: Buffer.alloc(32) };
    const message = sessionRequestMessage({ vmId: vm.joined.vmId, ...request });
    const signature = sign(null, message, vm.identity.key.privateKey);
    const call = vm.client.openDeliverySession({ ...request, signature });
    await expect(call).rejects.toMatchObject({ metadata: { field: "hpke_public_key" } });
  });

  it.each([
    [{ nonce: Buffer.alloc(15) }, "nonce"],
    [{ nonce: Buffer.alloc(0) }, "nonce"],
    [{ environments: [] }, "environments"],
    [{ environments: Array(501).fill({ agentId: "a", generation: 1n }) }, "environments"],
  ])("in a fetch is named: %#", async (wrong, field) => {
    const { client } = await rig.createVm("bad-4");
    const environmentRefs = [{ agentId: "a", generation: 1n }];
    const good = { sessionId: "x", nonce: randomBytes(16), environments: environmentRefs };
    await expect(client.fetchEnvironments({ ...good, ...wrong })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      metadata: { field },
    });
  });
});
