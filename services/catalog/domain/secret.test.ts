import fc from "fast-check";
import { sensitive } from "../../../lib/sensitive";
import { namedSecretsFaults, secretWriteFaults, type SecretWrite } from "./secret";
import { deleteNameFault, isSecretName } from "./secret-name";

const write = (fields: Partial<Omit<SecretWrite, "value">> & { value?: string | Buffer } = {}) => {
  const { value = "v", ...rest } = fields;
  return {
    owner: "",
    name: "A",
    description: undefined,
    expectedVersion: undefined,
    delivery: undefined,
    requestId: "",
    value: sensitive(Buffer.from(value)),
    ...rest,
  };
};
const faults = (fields: Parameters<typeof write>[0]) =>
  secretWriteFaults(write(fields)).map(({ description }) => description);

describe("a secret's write", () => {
  it.each([
    ["foo", 'secret name "foo" must match [A-Z][A-Z0-9_]*'],
    ["", 'secret name "" must match [A-Z][A-Z0-9_]*'],
    ["A\n", 'secret name "A\n" must match [A-Z][A-Z0-9_]*'],
    ["_A", 'secret name "_A" must match [A-Z][A-Z0-9_]*'],
    ["Ä", 'secret name "Ä" must match [A-Z][A-Z0-9_]*'],
    ["MURMUR_X", 'secret name "MURMUR_X" is reserved (MURMUR_* is internal)'],
    [
      "GH_TOKEN",
      'secret name "GH_TOKEN" is reserved — it is automatically populated from the developer profile',
    ],
    ["LD_PRELOAD", 'secret name "LD_PRELOAD" is reserved — it changes how programs start'],
    ["NODE_OPTIONS", 'secret name "NODE_OPTIONS" is reserved — it changes how programs start'],
  ])("of the name %j is refused with the words of the contract", (name, message) => {
    expect(faults({ name })).toEqual([message]);
  });

  it.each(["PATH", "HOME", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "LD_LIBRARY_PATH", "PYTHONPATH"])(
    "of %s is refused, as it changes how programs start",
    (name) => {
      expect(faults({ name })).toHaveLength(1);
    },
  );

  it.each(["PYTHONHOME", "PYTHONSTARTUP", "PERL5OPT", "RUBYOPT", "JAVA_TOOL_OPTIONS", "PERL5LIB"])(
    "of %s is refused, as it changes how programs start",
    (name) => {
      expect(faults({ name })).toHaveLength(1);
    },
  );

  it.each(["MURMUR", "GH_TOKEN_2", "DENO_DEPLOY_TOKEN", "PATHS", "LD", "NPM_TOKEN", "HTTP_PROXY"])(
    "of %s is taken: it only looks like a reserved name",
    (name) => {
      expect(faults({ name })).toEqual([]);
    },
  );

  it("without a value is refused", () => {
    expect(faults({ value: "" })).toEqual(["plaintext_value is required"]);
  });

  it("counts the description's bytes, not its characters", () => {
    expect(faults({ description: "ä".repeat(512) })).toEqual([]);
    expect(faults({ description: "ä".repeat(512) + "a" })).toEqual([
      "description exceeds 1024 byte limit",
    ]);
  });

  it("is told the first fault in the order of the contract, and all of them", () => {
    expect(faults({ name: "LD_X", value: "", description: "x".repeat(1025) })).toEqual([
      "plaintext_value is required",
      "description exceeds 1024 byte limit",
      'secret name "LD_X" is reserved — it changes how programs start',
    ]);
    expect(faults({ name: "foo", value: "", requestId: "x".repeat(129) })).toEqual([
      'secret name "foo" must match [A-Z][A-Z0-9_]*',
      "plaintext_value is required",
      "request_id exceeds 128 byte limit",
    ]);
  });

  it("takes 64 KiB and not one byte more, and no NUL", () => {
    expect(faults({ value: "x".repeat(65_536) })).toEqual([]);
    expect(faults({ value: "x".repeat(65_537) })).toEqual(["plaintext_value exceeds 64 KiB limit"]);
    expect(faults({ value: "a\0b" })).toEqual(["plaintext_value must not hold a NUL byte"]);
  });

  it("refuses what PostgreSQL cannot keep and what the contract does not know", () => {
    expect(faults({ description: "a\0" })).toEqual(["description must not hold a NUL character"]);
    expect(faults({ requestId: "a\0" })).toEqual(["request_id must not hold a NUL character"]);
    expect(faults({ expectedVersion: -1n })).toEqual(["expected_version must not be negative"]);
    expect(faults({ delivery: "unknown" })).toHaveLength(1);
  });

  it("keeps its errors short, whatever is sent", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 5_000 }), (name) => {
        for (const text of faults({ name })) expect(text.length).toBeLessThan(250);
      }),
    );
  });

  it("is refused for any name that is not one of an environment variable", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (name) => {
        expect(isSecretName(name)).toBe(/^[A-Z][A-Z0-9_]*$/.test(name) && !name.endsWith("\n"));
        if (!isSecretName(name)) expect(faults({ name })).not.toEqual([]);
      }),
    );
  });
});

describe("a spawn-time secret", () => {
  const of = (name: string, value: string | Buffer) =>
    namedSecretsFaults([{ name, value: sensitive(Buffer.from(value)) }], "spawn");

  it("may be GH_TOKEN", () => {
    expect(of("GH_TOKEN", "v")).toEqual([]);
  });

  it("follows the other rules, and names the field", () => {
    expect(of("foo", "")).toEqual([
      { field: "secrets[0].name", description: expect.stringContaining("must match") as string },
      { field: "secrets[0].plaintext_value", description: "plaintext_value is required" },
    ]);
    expect(of("LD_PRELOAD", "x")[0]?.field).toBe("secrets[0].name");
  });

  it("is text, as there is no file to deliver it by", () => {
    expect(of("A", Buffer.from([0xff]))[0]?.description).toContain("is not UTF-8");
  });
});

describe("deleting", () => {
  it.each(["GH_TOKEN", "MURMUR_X"])("%s is refused", (name) => {
    expect(deleteNameFault(name)).toBe(`secret name "${name}" is reserved and cannot be deleted`);
  });

  it("a name that cannot be is refused as such", () => {
    expect(deleteNameFault("foo")).toBe('secret name "foo" must match [A-Z][A-Z0-9_]*');
  });
});
