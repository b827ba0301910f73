import { inspect } from "node:util";
import fc from "fast-check";
import { sensitive } from "../../../lib/sensitive";
import { type EnvSet } from "./env-set";
import { parseEnv, parseEnvDocker, parseEnvJson, parseEnvSh, parseGeneration } from "./parse";
import { render, type RenderedSet, wipe } from "./render";
import { envSetOf, nastyValue } from "../../../test/harness/env-sets";

const DIRECTORY = "/run/murmur/agents/agent-1";

test("every form that carries a value carries it byte for byte, and names what it leaves out", () => {
  fc.assert(
    fc.property(fc.array(nastyValue(), { maxLength: 12 }), (values) => {
      const rendered = render(envSetOf(values), { directory: DIRECTORY, docker: true });
      for (const [form, parse] of Object.entries(PARSERS)) {
        const variables = parse(contentOf(rendered, form)).variables;
        const leftOut = new Set(namesLeftOut(rendered, form));
        for (const [at, value] of values.entries()) {
          const name = `NAME_${at}`;
          if (leftOut.has(name)) expect(variables.has(name)).toBe(false);
          else expect(variables.get(name)?.expose().equals(Buffer.from(value))).toBe(true);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("env.json and env.sh leave nothing out of what is UTF-8 without NUL", () => {
  fc.assert(
    fc.property(fc.array(nastyValue(), { maxLength: 5 }), (values) => {
      const rendered = render(envSetOf(values), { directory: DIRECTORY });
      expect(namesLeftOut(rendered, "env.json")).toEqual([]);
      expect(namesLeftOut(rendered, "env.sh")).toEqual([]);
    }),
  );
});

test.each([
  ["a newline", "first\nsecond\n"],
  ["double quotes", 'say "hi"'],
  ["a dollar", "pa$$w0rd $HOME $(id)"],
  ["a backslash", "C:\\new\\temp"],
  ["an equals sign and a hash", "a=b # c"],
  ["non-ASCII", "grüße 🗝 日本"],
  ["spaces at both ends", "  x  "],
  ["nothing at all", ""],
  ["64 KiB", "0123456789abcde\n".repeat(4096)],
])("the env form carries %s", (_, value) => {
  const rendered = render(envSetOf([value]), { directory: DIRECTORY });
  const parsed = parseEnv(contentOf(rendered, "env")).variables.get("NAME_0");
  expect(parsed?.expose().toString()).toBe(value);
});

test.each([
  ["it's", "a single quote"],
  ["a\\\\b", "a doubled or final backslash"],
  ["a\\", "a doubled or final backslash"],
  ["a\rb", "a control character"],
  ["a\u001bb", "a control character"],
  ["a\ufffeb", "a noncharacter of Unicode"],
  ["a\u{1ffff}b", "a noncharacter of Unicode"],
  ["${HOME}", "an expansion in braces"],
])(
  "the env form leaves %j out, says so in a comment, in _omitted and to the caller",
  (value, why) => {
    const rendered = render(envSetOf([value]), { directory: DIRECTORY });
    expect(rendered.omitted).toEqual([{ form: "env", name: "NAME_0", reason: why }]);
    expect(contentOf(rendered, "env").toString()).toContain(`# omitted NAME_0: ${why}\n`);
    expect(contentOf(rendered, "env").toString()).not.toContain("NAME_0=");
    const json = JSON.parse(contentOf(rendered, "env.json").toString()) as Record<string, unknown>;
    expect(json["_omitted"]).toEqual({ env: { NAME_0: why } });
    expect(json["NAME_0"]).toBe(value);
  },
);

test("env.docker is written only when asked for", () => {
  const paths = render(envSetOf(["x"]), { directory: DIRECTORY }).files.map(({ path }) => path);
  expect(paths).toEqual(["env", "env.sh", "env.json", "generation", "live"]);
});

test("env.sh ends with the generation, so that a live shell knows when all of it has been read", () => {
  const variables = ["A", "ZED"].map((name) => variable(name, Buffer.from("x")));
  const rendered = render({ ...envSetOf([]), variables }, { directory: DIRECTORY });
  expect(contentOf(rendered, "env.sh").toString()).toMatch(/\nexport MURMUR_GENERATION='\d+'\n$/);
});

test("a secret for file delivery keeps its raw bytes and puts only its path into the environment", () => {
  const bytes = Buffer.from([0, 0xff, 0x0a, 0x27]);
  const set = { ...envSetOf([]), variables: [variable("CERT", bytes, "file")] };
  const rendered = render(set, { directory: DIRECTORY });
  expect(contentOf(rendered, "files/CERT").equals(bytes)).toBe(true);
  const { variables } = parseEnvJson(contentOf(rendered, "env.json"));
  expect(variables.get("CERT_FILE")?.expose().toString()).toBe(`${DIRECTORY}/files/CERT`);
  expect(variables.has("CERT")).toBe(false);
  expect(rendered.omitted).toEqual([]);
});

test.each([
  ["not UTF-8", Buffer.from([0x61, 0xff])],
  ["a NUL byte", Buffer.from([0x61, 0x00])],
])("a value that is %s reaches no form, and its name is unset rather than stale", (why, value) => {
  const set = { ...envSetOf([]), variables: [variable("BAD", value, "environment")] };
  const rendered = render(set, { directory: DIRECTORY, docker: true });
  expect(rendered.omitted.map(({ form, reason }) => `${form}: ${reason}`)).toEqual(
    ["env", "env.sh", "env.json", "env.docker"].map((form) => `${form}: ${why}`),
  );
  expect(parseEnvSh(contentOf(rendered, "env.sh")).unset).toEqual(["BAD"]);
  expect(contentOf(rendered, "env.json").includes(value)).toBe(false);
});

test("names that shells own are left to env.json, since a sourced line would fail or be ignored", () => {
  const variables = ["OPTIND", "UID", "BASH_ENV"].map((name) => variable(name, Buffer.from("x")));
  const rendered = render({ ...envSetOf([]), variables }, { directory: DIRECTORY });
  expect(namesLeftOut(rendered, "env.sh")).toEqual(["OPTIND", "UID", "BASH_ENV"].sort());
  expect(namesLeftOut(rendered, "env")).toEqual(["OPTIND", "UID", "BASH_ENV"].sort());
  expect(namesLeftOut(rendered, "env.json")).toEqual([]);
});

test("the environment holds the set's own names: agent, workspace, generation, directory, file", () => {
  const set = { ...envSetOf([]), generation: 17n };
  const rendered = render(set, { directory: DIRECTORY, agent: "a/b", workspace: "backend" });
  const { variables } = parseEnvJson(contentOf(rendered, "env.json"));
  const shown = [...variables].map(([name, value]) => `${name}=${value.expose().toString()}`);
  expect(shown).toEqual([
    "MURMUR_AGENT=a/b",
    `MURMUR_DIR=${DIRECTORY}`,
    `MURMUR_ENV_FILE=${DIRECTORY}/env`,
    "MURMUR_GENERATION=17",
    "MURMUR_WORKSPACE=backend",
  ]);
  expect(parseGeneration(contentOf(rendered, "generation"))).toBe(17n);
});

test("names that vanished are unset once each, and never one that the set holds", () => {
  const set = { ...envSetOf(["x"]), unset: ["OLD", "NAME_0", "ANOTHER", "OLD"] };
  const rendered = render(set, { directory: DIRECTORY });
  expect(parseEnvSh(contentOf(rendered, "env.sh")).unset).toEqual(["ANOTHER", "OLD"]);
  expect(parseEnvJson(contentOf(rendered, "env.json")).unset).toEqual(["ANOTHER", "OLD"]);
});

test.each(["../../etc/passwd", "a b", "lower", "X=Y", "", "A\nB", "_omitted"])(
  "a set with the name %j is refused, since names become files and shell words",
  (name) => {
    const set = { ...envSetOf([]), variables: [variable(name, Buffer.from("x"), "file")] };
    expect(() => render(set, { directory: DIRECTORY })).toThrow(/bad name/);
    expect(() => render({ ...envSetOf([]), unset: [name] }, { directory: DIRECTORY })).toThrow();
  },
);

test("a set with a name twice, a bad agent id or no generation is refused", () => {
  const twice = [variable("A", Buffer.from("x")), variable("A", Buffer.from("y"))];
  const bad: Partial<EnvSet>[] = [{ variables: twice }, { agentId: "../x" }, { generation: 0n }];
  for (const part of bad) {
    expect(() => render({ ...envSetOf([]), ...part }, { directory: DIRECTORY })).toThrow();
  }
});

test("no value shows when a rendered set is printed, and none stays after wiping", () => {
  const rendered = render(envSetOf(["marked-value"]), { directory: DIRECTORY });
  const printed = inspect({ ...rendered, manifest: "" }, { depth: 9 });
  expect(printed).not.toContain("marked");
  wipe(rendered);
  for (const { path } of rendered.files) {
    expect(contentOf(rendered, path).every((byte) => byte === 0)).toBe(true);
  }
});

test("what is not as rendered is called damaged, without quoting any of it", () => {
  const secret = "marked-value";
  const damaged: [(bytes: Uint8Array) => unknown, string][] = [
    [parseEnv, `NAME='${secret}`],
    [parseEnv, `NAME='${secret}'x\n`],
    [parseEnv, `NA ME=${secret}\n`],
    [parseEnvSh, `NAME='${secret}'\n`],
    [parseEnvSh, `export NAME=${secret}\n`],
    [parseEnvSh, "unset A;id\n"],
    [parseEnvJson, `{"NAME":"${secret}"`],
    [parseEnvJson, `{"NAME":"${secret}"}`],
    [parseGeneration, "seventeen\n"],
  ];
  for (const [parse, text] of damaged) {
    const error = captured(() => parse(Buffer.from(text)));
    expect(error).toMatchObject({ fault: "damaged" });
    expect(`${error.message} ${String(error.cause)}`).not.toContain(secret);
  }
});

const PARSERS = {
  env: parseEnv,
  "env.sh": parseEnvSh,
  "env.json": parseEnvJson,
  "env.docker": parseEnvDocker,
};

function variable(
  name: string,
  value: Uint8Array,
  delivery: "environment" | "file" = "environment",
): EnvSet["variables"][number] {
  return { name, value: sensitive(value), delivery };
}

function contentOf(rendered: RenderedSet, path: string): Buffer {
  return rendered.files.find((file) => file.path === path)!.content.expose();
}

function namesLeftOut(rendered: RenderedSet, form: string): string[] {
  return rendered.omitted
    .filter((omission) => omission.form === form)
    .map(({ name }) => name)
    .sort();
}

function captured(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}
