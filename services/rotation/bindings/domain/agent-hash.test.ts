import fc from "fast-check";
import { sensitive } from "../../../../lib/sensitive";
import { hashesOf } from "../../../../test/harness/bindings";
import { isSameHash, proves, readAgentHash, readHashProof } from "./agent-hash";

const hex = (length: number) =>
  fc.string({
    unit: fc.constantFrom(..."0123456789abcdef".split("")),
    minLength: length,
    maxLength: length,
  });
const EXAMPLE = hashesOf("example-provider-key-0001");

it("reads the examples of the specification", () => {
  expect(EXAMPLE.hash).toBe("3f247b0f0ac4ecb8");
  const named = hashesOf("example-provider-key-0001", "my-coder");
  expect(named.hash).toBe("083a8bfd3307e6ba");
  for (const { hash, proof } of [EXAMPLE, named])
    expect(proves(sensitive(proof), readAgentHash("h", hash))).toBe(true);
});

it("takes 16 lower-case hex characters for a hash and nothing else, which it never shows", () => {
  fc.assert(
    fc.property(hex(16), (text) => {
      expect(readAgentHash("new_key_hash", text).toString("hex")).toBe(text);
    }),
  );
  const other = fc.oneof(
    fc.string({ unit: "binary" }),
    hex(15),
    hex(17),
    hex(64),
    hex(16).map((text) => ` ${text.slice(1)}`),
    hex(16).map((text) => `A${text.slice(1)}`),
    hex(16).map((text) => `${text}\n`),
  );
  fc.assert(
    fc.property(
      other.filter((text) => !/^[0-9a-f]{16}$/.test(text) || text.length !== 16),
      (text) => {
        const message = "new_key_hash must be 16 lower-case hex characters";
        expect(() => readAgentHash("new_key_hash", text)).toThrow(message);
      },
    ),
  );
});

it("takes a proof in small letters and capitals for the same, and shows none", () => {
  fc.assert(
    fc.property(hex(64), (text) => {
      const hash = readAgentHash("h", text.slice(0, 16));
      for (const form of [text, text.toUpperCase()]) {
        const proof = readHashProof(form);
        expect(proof && proves(proof, hash)).toBe(true);
        expect(`${String(proof)} ${JSON.stringify(proof)}`).not.toContain(form);
      }
    }),
  );
});

it("a proof is of the hash that it begins with, and of no other, whichever bit differs", () => {
  fc.assert(
    fc.property(hex(64), fc.nat(63), fc.nat(255), (text, bit, at) => {
      const hash = readAgentHash("h", text.slice(0, 16));
      const other = Buffer.from(hash);
      other.writeUInt8(other.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(isSameHash(hash, other)).toBe(false);
      expect(proves(sensitive(text), other)).toBe(false);
      // What comes after the hash is not compared with anything: nothing of it was kept.
      const tail = Buffer.from(text, "hex");
      const place = 8 + (at % 24);
      tail.writeUInt8(tail.readUInt8(place) ^ 1, place);
      expect(proves(sensitive(tail.toString("hex")), hash)).toBe(true);
    }),
  );
});

it("nothing proves an agent that is bound to no key", () => {
  expect(proves(sensitive("0".repeat(64)), undefined)).toBe(false);
  expect(isSameHash(Buffer.alloc(8), undefined)).toBe(false);
});
