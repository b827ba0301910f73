import { createDecipheriv, randomBytes, randomUUID } from "node:crypto";
import fc from "fast-check";
import { systemClock } from "../../../lib/clock";
import {
  decapsulateKey,
  encapsulateKey,
  generateAgreementKey,
} from "../../../lib/identity/key-agreement";
import {
  environmentAssociatedData,
  sessionRequestMessage,
} from "../../../lib/identity/signed-messages";
import { createDeliverySessions } from "../../catalog/domain/delivery-session";

describe("seal and open", () => {
  it("agree on every field of the associated data, and any change of one fails", async () => {
    const own = await generateAgreementKey();
    const owner = { tenantId: "acme", vmId: randomUUID(), keyThumbprint: "t" };
    const request = {
      ...{ vmId: owner.vmId, incarnation: randomBytes(16), hpkePublicKey: own.publicKey },
    };
    const { session, encapsulatedKey } = await createDeliverySessions(systemClock).open(
      owner,
      request,
    );
    const { sealKey: key } = await decapsulateKey(
      own,
      encapsulatedKey,
      sessionRequestMessage(request),
    );
    type Binding = Parameters<typeof environmentAssociatedData>[0];
    const open = (sealed: { iv: Buffer; ciphertext: Buffer }, binding: Binding) => {
      const decipher = createDecipheriv("aes-256-gcm", key.expose(), sealed.iv);
      decipher.setAAD(environmentAssociatedData(binding));
      decipher.setAuthTag(sealed.ciphertext.subarray(-16));
      const body = decipher.update(sealed.ciphertext.subarray(0, -16));
      return Buffer.concat([body, decipher.final()]);
    };
    const asked = fc.record({
      agentId: fc.uuid(),
      generation: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
      nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    });
    const ivs = new Set<string>();
    fc.assert(
      fc.property(
        asked,
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom("tenantId", "vmId", "agentId", "generation", "nonce"),
        (what, plaintext, field) => {
          const binding = { ...owner, ...what };
          const sealed = session.seal(what, plaintext);
          expect(open(sealed, binding)).toEqual(Buffer.from(plaintext));
          ivs.add(sealed.iv.toString("hex"));
          const changed = {
            ...binding,
            ...{ tenantId: "umbrella", vmId: randomUUID(), agentId: `${what.agentId}0` },
            ...{ generation: what.generation + 1n, nonce: what.nonce.map((byte) => byte ^ 1) },
          };
          expect(() => open(sealed, { ...binding, [field]: changed[field] })).toThrow();
        },
      ),
    );
    expect(ivs.size).toBe(100);
  });

  it("agree on no key when the request was not the VM's", async () => {
    const own = await generateAgreementKey();
    const info = Buffer.from("info");
    const { encapsulatedKey, keys: agreed } = await encapsulateKey(own.publicKey, info);
    const same = await decapsulateKey(own, encapsulatedKey, info);
    const other = await decapsulateKey(own, encapsulatedKey, Buffer.from("other"));
    const stranger = await decapsulateKey(await generateAgreementKey(), encapsulatedKey, info);
    for (const name of ["sealKey", "proofKey"] as const) {
      expect(same[name].expose()).toEqual(agreed[name].expose());
      expect(other[name].expose()).not.toEqual(agreed[name].expose());
      expect(stranger[name].expose()).not.toEqual(agreed[name].expose());
    }
    expect(agreed.sealKey.expose()).not.toEqual(agreed.proofKey.expose());
    for (const length of [0, 31, 33]) {
      await expect(decapsulateKey(own, Buffer.alloc(length, 9), Buffer.alloc(0))).rejects.toThrow();
      await expect(encapsulateKey(Buffer.alloc(length, 9), Buffer.alloc(0))).rejects.toThrow();
    }
  });

  it("keep the private half of the in-memory key from being exported", async () => {
    const { pair } = await generateAgreementKey();
    expect(pair.privateKey.extractable).toBe(false);
  });
});
