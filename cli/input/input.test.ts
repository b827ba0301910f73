import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { stringify } from "yaml";
import { isAppError } from "../../lib/errors";
import { UsageError } from "../errors";
import { parseCount } from "./count";
import { parseDurationMs } from "./duration";
import { parseResourceDocument } from "./resource-document";
import { parseSpawnVariables, readSpawnVariables } from "./spawn-variables";
import { dropNewline } from "./stdin";

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/);
const parseOne = (text: string) => parseSpawnVariables([text], {})[0];

describe("-e NAME=VALUE", () => {
  it("gives back every name and value, whatever the value holds", () => {
    fc.assert(
      fc.property(name, fc.string({ unit: "binary" }), (key, value) => {
        const parsed = parseOne(`${key}=${value}`);
        expect([parsed?.name, parsed?.value.expose()]).toEqual([key, value]);
      }),
    );
  });

  it("takes a value from the caller's environment when only a name is given", () => {
    const [variable] = parseSpawnVariables(["TOKEN"], { TOKEN: "a=b" });
    expect([variable?.name, variable?.value.expose()]).toEqual(["TOKEN", "a=b"]);
  });

  it("refuses what is neither, without repeating what may be a value", () => {
    for (const text of ["", "=s3cret", "s3cret"]) {
      expect(() => parseOne(text)).toThrow(UsageError);
      expect(() => parseOne(text)).not.toThrow(/s3cret/);
    }
  });

  it("refuses a name that is given twice", () => {
    expect(() => parseSpawnVariables(["A=1", "B=2", "A=3"], {})).toThrow("-e A is given twice");
  });
});

describe("--env-file", () => {
  const directory = mkdtempSync(join(tmpdir(), "murmur-env-file-"));
  const terminal = { env: {}, cwd: directory, stdin: process.stdin };
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  it("gives all of its names: the later file wins, over all files -e", async () => {
    writeFileSync(join(directory, "a"), "A=a\nB=a\nC=a\n");
    writeFileSync(join(directory, "b"), "B=b\nC=b\n");
    const files = ["a", join(directory, "b")];
    const variables = await readSpawnVariables(terminal, { texts: ["C=e", "D=e"], files });
    const read = variables.map((variable) => [variable.name, variable.value.expose()]);
    expect(Object.fromEntries(read)).toEqual({ A: "a", B: "b", C: "e", D: "e" });
    expect(read).toHaveLength(4);
  });
});

describe("a duration", () => {
  it("is a number and a unit, up to a day", () => {
    const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
    fc.assert(
      fc.property(
        fc.constantFrom("ms" as const, "s" as const, "m" as const, "h" as const),
        fc.integer({ min: 1, max: 24 }),
        (unit, count) => {
          expect(parseDurationMs("--timeout", `${count}${unit}`)).toBe(count * units[unit]);
        },
      ),
    );
  });

  it("is refused with the option's name when it is anything else", () => {
    const wrong = [
      "",
      "0s",
      "30",
      "-1s",
      "1.5s",
      "25h",
      "1 s",
      "1d",
      "99999999999h",
      "1s\n",
      "1sm",
    ];
    for (const text of wrong)
      expect(() => parseDurationMs("--timeout", text)).toThrow(/^--timeout /);
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^\d+(ms|s|m|h)$/.test(text));
        expect(() => parseDurationMs("--timeout", text)).toThrow(UsageError);
      }),
    );
  });
});

describe("a count", () => {
  it("is a whole number of at most 18 digits", () => {
    expect(parseCount("--n", "0")).toBe(0n);
    expect(parseCount("--n", "999999999999999999")).toBe(999_999_999_999_999_999n);
    for (const text of ["", "-1", "1.0", "1e3", "0x1", " 1", "1234567890123456789"])
      expect(() => parseCount("--n", text)).toThrow(/^--n must be a whole number/);
  });
});

describe("a resource document", () => {
  const fields = fc.dictionary(name, fc.string({ unit: "binary" }), { maxKeys: 5 });
  const textsOf = (source: string) =>
    Object.fromEntries(
      [...parseResourceDocument(Buffer.from(source))].map(([key, field]) => [
        key,
        "text" in field ? field.text : field.texts,
      ]),
    );

  it("gives back every text of JSON", () => {
    fc.assert(
      fc.property(fields, (resource) => {
        expect(textsOf(JSON.stringify(resource))).toEqual({ ...resource });
      }),
    );
  });

  it("gives back every text of YAML", () => {
    fc.assert(
      fc.property(fc.dictionary(name, fc.string(), { maxKeys: 5 }), (resource) => {
        expect(textsOf(stringify(resource, { defaultStringType: "QUOTE_DOUBLE" }))).toEqual({
          ...resource,
        });
      }),
    );
  });

  it("takes scalars as they are written and leaves out what has no value", () => {
    expect(textsOf("a: 1e3\nb: 0x1F\nc: yes\nd: ~\ne:\nf: [A, 1]\ng: 2026-01-01\n")).toEqual({
      ...{ a: "1e3", b: "0x1F", c: "yes", f: ["A", "1"], g: "2026-01-01" },
    });
    expect(textsOf('{"a": null, "b": 3, "c": ["x"]}')).toEqual({ b: "3", c: ["x"] });
    expect(textsOf("")).toEqual({});
  });

  it("never fails but with INVALID_ARGUMENT, and then repeats nothing of a value", () => {
    const wrong = fc.oneof(
      fc.string().map((text) => `plaintext_value: [${text} s3cret`),
      fc.string().map((text) => `{"plaintext_value": s3cret ${text}`),
      fc.uint8Array().map((bytes) => `\ud800${Buffer.from(bytes).toString("latin1")}: s3cret`),
    );
    fc.assert(
      fc.property(wrong, (source) => {
        try {
          parseResourceDocument(Buffer.from(source));
        } catch (error) {
          expect(isAppError(error, "INVALID_ARGUMENT")).toBe(true);
          expect((error as Error).message).not.toContain("s3cret");
        }
      }),
    );
  });

  it("refuses bytes that are no text, and aliases", () => {
    expect(() => parseResourceDocument(Buffer.from([0xff, 0xfe]))).toThrow("is not UTF-8");
    expect(() => textsOf("a: &x 1\nb: *x")).toThrow("b must be a text");
  });
});

describe("one newline", () => {
  it("is dropped at the end of a value, and no more than one", () => {
    const dropped = (text: string) => dropNewline(Buffer.from(text)).toString();
    expect(["v\n", "v\n\n", "v", "\n", "", "v\r\n", "\nv"].map(dropped)).toEqual([
      "v",
      "v\n",
      "v",
      "",
      "",
      "v\r",
      "\nv",
    ]);
  });
});
