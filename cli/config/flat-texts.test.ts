import fc from "fast-check";
import { parseFlatTexts } from "./flat-texts";
import { parseYamlTexts } from "./yaml-texts";

const key = fc.constantFrom("catalog", "token", "workspace", "a_b");
const value = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9._:/+=@-]{0,12}$/),
  fc.constantFrom("null", "true", "007", "0x1F", "1e3", "2026-01-01", "a:", "a: b", "127.0.0.1:1"),
  fc.string(),
);
const line = fc.oneof(
  fc.tuple(key, value).map(([name, text]) => `${name}: ${text}`),
  fc.constantFrom("", "# comment", "---", "  indented: x", "key:", "- item", "\t"),
);

describe("a flat file", () => {
  it("is read as a YAML parser would read it, or left to one", () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 5 }), (lines) => {
        const source = lines.join("\n");
        const flat = parseFlatTexts(source);
        if (!flat) return;
        const { texts, fault } = parseYamlTexts(source, [...flat.keys()]);
        expect({ fault, texts: [...texts] }).toEqual({ fault: undefined, texts: [...flat] });
      }),
      { numRuns: 2_000 },
    );
  });

  it("is what murmur auth writes", () => {
    const source = "catalog: 127.0.0.1:7301\n# mine\n\ntenant: acme\ntoken: eyJh.eyJz-_.c2ln\n";
    expect([...(parseFlatTexts(source) ?? [])]).toEqual([
      ["catalog", "127.0.0.1:7301"],
      ["tenant", "acme"],
      ["token", "eyJh.eyJz-_.c2ln"],
    ]);
  });
});
