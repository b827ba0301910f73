import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { sensitive } from "../../../lib/sensitive";
import {
  deriveSubkey,
  EnvelopeBroken,
  macOf,
  seal,
  toSecretKey,
  unseal,
  type SealContext,
} from "./envelope";

const key = toSecretKey(randomBytes(32));
const context: SealContext = { tenantId: "t", kind: "tenant", id: "1", owner: "", name: "A" };
const bytes = fc.uint8Array({ maxLength: 2_000 }).map((array) => Buffer.from(array));
const text = fc.string().filter((value) => !value.includes("\0"));

describe("an envelope", () => {
  it("gives back every value, byte for byte", () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const sealed = seal(key, context, sensitive(value));
        expect(unseal(key, context, sealed).expose()).toEqual(value);
      }),
    );
  });

  it("does not open with any byte changed, cut off or added", () => {
    fc.assert(
      fc.property(bytes, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
        const sealed = seal(key, context, sensitive(value));
        const changed = Buffer.from(sealed);
        const index = at % sealed.length;
        changed[index] = changed[index]! ^ change;
        const broken = [changed, sealed.subarray(0, index), Buffer.concat([sealed, sealed])];
        for (const one of broken) expect(() => unseal(key, context, one)).toThrow(EnvelopeBroken);
      }),
    );
  });

  it("does not open anywhere but in its own place", () => {
    const place = fc.record({ tenantId: text, kind: text, id: text, owner: text, name: text });
    fc.assert(
      fc.property(place, place, (here, there) => {
        fc.pre(JSON.stringify(here) !== JSON.stringify(there));
        const sealed = seal(key, here, sensitive(Buffer.from("v")));
        expect(() => unseal(key, there, sealed)).toThrow(EnvelopeBroken);
      }),
    );
    const sealed = seal(key, { ...context, owner: "a", name: "b" }, sensitive(Buffer.from("v")));
    expect(() => unseal(key, { ...context, owner: "", name: "ab" }, sealed)).toThrow();
  });

  it("does not open under another key or a subkey", () => {
    const sealed = seal(key, context, sensitive(Buffer.from("v")));
    const others = [toSecretKey(randomBytes(32)), deriveSubkey(key, "fingerprint")];
    for (const other of others)
      expect(() => unseal(other, context, sealed)).toThrow(EnvelopeBroken);
  });

  it("seals the same value differently each time", () => {
    const sealed = Array.from({ length: 100 }, () =>
      seal(key, context, sensitive(Buffer.from("v"))).toString("hex"),
    );
    expect(new Set(sealed).size).toBe(100);
  });
});

describe("a MAC", () => {
  it("differs for any two lists of parts, however they are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.array(fc.string()), (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        expect(macOf(key, a).equals(macOf(key, b))).toBe(same);
      }),
    );
    expect(macOf(key, ["ab", "c"])).not.toEqual(macOf(key, ["a", "bc"]));
  });
});

describe("subkeys", () => {
  it("differ by purpose and by key", () => {
    const other = toSecretKey(randomBytes(32));
    const all = [key, other].flatMap((one) =>
      (["snapshot-mac", "fingerprint", "request-hash", "vm-mac"] as const).map((purpose) =>
        deriveSubkey(one, purpose).expose().export().toString("hex"),
      ),
    );
    expect(new Set(all).size).toBe(8);
  });
});
