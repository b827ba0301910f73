import fc from "fast-check";
import { hashesOf } from "../../test/harness/bindings";
import { sensitive } from "../../lib/sensitive";
import { hashKey, looksLikeKey, variableOf } from "./provider-key";

const EXAMPLE = "example-provider-key-0001";
const keyOf = (text: string) => sensitive(Buffer.from(text));

describe("hashKey", () => {
  it("gives what the specification gives for its examples", () => {
    expect(hashKey(keyOf(EXAMPLE), "").hash).toBe("3f247b0f0ac4ecb8");
    expect(hashKey(keyOf(EXAMPLE), "my-coder").hash).toBe("083a8bfd3307e6ba");
    // Of that key made long enough to show how it begins.
    expect(hashKey(keyOf(`${EXAMPLE}-${EXAMPLE}`), "").prefix).toBe("example-provider");
  });

  it("agrees with the rule for any key and name: SHA-256 of key or key|name, and its first half", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 });
    const name = fc.string({ unit: "grapheme", maxLength: 20 });
    fc.assert(
      fc.property(text, name, (key, agent) => {
        const { hash, proof } = hashKey(keyOf(key), agent);
        expect({ hash, proof }).toEqual({
          ...{ hash: hashesOf(key, agent).hash, proof: hashesOf(key, agent).proof },
        });
        expect(hash).toMatch(/^[0-9a-f]{16}$/);
        expect(proof).toMatch(/^[0-9a-f]{64}$/);
        expect(proof.startsWith(hash)).toBe(true);
      }),
    );
  });

  it("shows the first 16 characters of a key of 32 or more, and nothing of a shorter one", () => {
    const visible = fc.string({
      unit: fc.constantFrom("a", "b", "X", "Y", "0", "9", "-", "_"),
      maxLength: 80,
    });
    fc.assert(
      fc.property(visible, fc.string(), (key, name) => {
        const { prefix } = hashKey(keyOf(key), name);
        expect(prefix).toBe(key.length < 32 ? "" : key.slice(0, 16));
      }),
    );
    const [short, long] = ["k".repeat(31), "k".repeat(32)];
    expect(hashKey(keyOf(short), "").prefix).toBe("");
    expect(hashKey(keyOf(long), "").prefix).toBe("k".repeat(16));
    // Characters, not bytes: 20 of them in 40 bytes.
    expect(hashKey(keyOf("ü".repeat(20)), "").prefix).toBe("");
    // Nothing that a list could not show.
    expect(hashKey(keyOf("ü".repeat(40)), "").prefix).toBe("");
  });
});

it.each([
  ["sk-ant-api03-xyz", "ANTHROPIC_API_KEY"],
  ["sk-proj-xyz", "OPENAI_API_KEY"],
  ["sk-xyz", "OPENAI_API_KEY"],
  ["AIzaSyBxyz", "GOOGLE_API_KEY"],
  ["SK-ANT-xyz", undefined],
  ["xsk-ant-", undefined],
  [EXAMPLE, undefined],
])("a key %s goes into %s", (key, variable) => {
  expect(variableOf(keyOf(key))).toBe(variable);
});

it("takes no name for a key, and no key for a name", () => {
  for (const name of ["my-coder", "sk-coder", "AIza", "a".repeat(60)])
    expect(looksLikeKey(name)).toBe(false);
  for (const key of ["sk-ant-api03-0123456789", "sk-proj-0123456789abc", "AIzaSyB0123456789abcdef"])
    expect(looksLikeKey(key)).toBe(true);
});
