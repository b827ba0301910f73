import fc from "fast-check";
import { sensitive } from "../sensitive";
import {
  environmentAssociatedData,
  joinMessage,
  renewMessage,
  sessionAnswerMessage,
  sessionRequestMessage,
  trustBundleMessage,
} from "./signed-messages";

const id = fc.uuid();
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const hex = (text: string) => Buffer.from(text).toString("hex");

describe("signed messages", () => {
  it("are laid out as the contract says, byte for byte", () => {
    const nonce = Buffer.alloc(16, 0xaa);
    expect(renewMessage("v", 17n, nonce).toString("hex")).toBe(
      `${hex("murmur-renew-v1\0v\x0017\0")}${"aa".repeat(16)}`,
    );
    const request = {
      ...{ vmId: "v", incarnation: Buffer.alloc(16, 1), hpkePublicKey: Buffer.alloc(32, 2) },
    };
    const requested = `${hex("murmur-session-v1\0v\0")}${"01".repeat(16)}${"02".repeat(32)}`;
    expect(sessionRequestMessage(request).toString("hex")).toBe(requested);
    const answer = { sessionId: "s", encapsulatedKey: Buffer.alloc(32, 3) };
    expect(sessionAnswerMessage(request, answer).toString("hex")).toBe(
      `${requested}${hex("\0s\0")}${"03".repeat(32)}`,
    );
    const binding = { tenantId: "t", vmId: "v", agentId: "a", generation: 9n, nonce };
    expect(environmentAssociatedData(binding).toString("hex")).toBe(
      `${hex("murmur-env-v1\0t\0v\0a\x009\0")}${"aa".repeat(16)}`,
    );
    expect(joinMessage(sensitive("abc")).toString("hex")).toBe(
      `${hex("murmur-join-v1\0")}ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad`,
    );
  });

  it("for two environments are never alike", () => {
    const binding = fc.record({
      tenantId: id,
      vmId: id,
      agentId: id,
      generation: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
      nonce: bytes(16),
    });
    fc.assert(
      fc.property(binding, binding, (one, two) => {
        const isSame = environmentAssociatedData(one).equals(environmentAssociatedData(two));
        expect(isSame).toBe(false);
        expect(environmentAssociatedData(one)).toEqual(environmentAssociatedData({ ...one }));
      }),
    );
  });

  it("for trust bundles change with every fact", () => {
    const facts = {
      ...{ vmId: "v", tenantId: "t", name: "n", binding: Buffer.alloc(16) },
      deliveryPublicKeys: [Buffer.alloc(32, 1), Buffer.alloc(32, 2)],
    };
    const changed = [
      { vmId: "w" },
      { tenantId: "u" },
      { name: "m" },
      { binding: Buffer.alloc(16, 1) },
      { deliveryPublicKeys: [Buffer.alloc(32, 1)] },
      { deliveryPublicKeys: [Buffer.alloc(32, 2), Buffer.alloc(32, 1)] },
    ].map((change) => trustBundleMessage({ ...facts, ...change }).toString("hex"));
    const all = new Set([trustBundleMessage(facts).toString("hex"), ...changed]);
    expect(all.size).toBe(7);
  });
});
