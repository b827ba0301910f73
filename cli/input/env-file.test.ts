import fc from "fast-check";
import { envSetOf, nastyValue } from "../../test/harness/env-sets";
import { render } from "../../services/vm-agent/env-set/render";
import { EnvFileError, parseEnvFile } from "./env-file";

const read = (text: string | Buffer) =>
  Object.fromEntries(
    parseEnvFile(Buffer.from(text)).map(({ name, value }) => [name, value.expose()]),
  );
const faultOf = (text: string | Buffer): string => {
  try {
    read(text);
  } catch (error) {
    if (error instanceof EnvFileError) return error.message;
    throw error;
  }
  return "";
};

test.each([
  ["nothing at all", "", {}],
  ["comments and blank lines", "# a\n\n  # b\n \t\n", {}],
  ["plain values", "A=1\nB = two words \nexport C=x=y\n", { A: "1", B: "two words", C: "x=y" }],
  ["the last line without its end", "A=1\nB=2", { A: "1", B: "2" }],
  ["a comment after a value", "A=1 # one\nB='2' # two\nC=# none\n", { A: "1", B: "2", C: "" }],
  ["no value", "A=\nB=''\n", { A: "", B: "" }],
  [
    "what is plain text outside of shells",
    'A={"a":1}\nB=pa$word\\n\n',
    {
      ...{ A: '{"a":1}', B: "pa$word\\n" },
    },
  ],
  ["single quotes as they stand", "A='$x ${y} \\n \"#\"'\n", { A: '$x ${y} \\n "#"' }],
  ["a quote as a shell has it", "A='it'\\''s'\nB=''\\'''\n", { A: "it's", B: "'" }],
  ["escapes in double quotes", 'A="a\\nb\\t\\"c\\" \\\\ \\$x #"\n', { A: 'a\nb\t"c" \\ $x #' }],
  ["lines of a key", "A=\"-----B\nx\n\"\nB='y\nz'\n", { A: "-----B\nx\n", B: "y\nz" }],
  ["files from Windows", "\ufeffA=1\r\nB='x\r\ny'\r\n", { A: "1", B: "x\ny" }],
  ["non-ASCII", "A=é日🗝\nB='\u00a0'\n", { A: "é日🗝", B: "\u00a0" }],
])("reads %s", (_, text, values) => {
  expect(read(text)).toEqual(values);
});

test.each([
  ["A=1\nsecret-text\n", "line 2: it is not NAME=value, nor a comment"],
  ["A=1\n2B=x\n", "line 2: it is not NAME=value, nor a comment"],
  ["=x\n", "line 1: it is not NAME=value, nor a comment"],
  ["A=1\n\nB=1\nA=2\n", "line 4: A stands on line 1 already"],
  ["A='x\ny\nB=1\n", "line 1: its single quote is not closed"],
  ['A=1\nB="x\ny\n', "line 2: its double quote is not closed"],
  ["A='x\ny' z\n", "line 2: something follows its closing quote"],
  ["A='it\\'s'\n", "line 1: something follows its closing quote"],
  ['A="\\x"\n', /^line 1: it has a backslash before a character that needs none/],
  ["A=`x`\n", /^line 1: backticks quote nothing/],
  ["A=abc#def\n", /^line 1: some programs read # as a comment/],
  ["A=${HOME}\n", /^line 1: some programs expand/],
  ['A="x\n$(id)"\n', /^line 1: some programs expand/],
  ["A=1\nB='x\ry'\n", /^line 2: it has a carriage return/],
  ["A=1\r\nB=2\n", /^line 1: it has a carriage return/],
  [Buffer.from([0x41, 0x3d, 0x31, 0x0a, 0x42, 0x3d, 0xff, 0x0a]), "line 2: it is not UTF-8"],
])("refuses %j and names the line", (text, fault) => {
  expect(faultOf(text)).toMatch(fault);
});

test("a fault repeats nothing that may be a value", () => {
  fc.assert(
    fc.property(fc.constantFrom("'", '"', "", "`"), nastyValue(), nastyValue(), (quote, a, b) => {
      const fault = faultOf(`A=${quote}mark-${a}-mark\n${b}-mark-`);
      expect(fault).not.toContain("mark-");
    }),
  );
});

test("what the daemon writes for dotenv and for shells comes back byte for byte, or is refused", () => {
  fc.assert(
    fc.property(nastyValue(), (value) => {
      const { files, omitted } = render(envSetOf([value]), { directory: "/run/x" });
      for (const form of ["env", "env.sh"]) {
        if (omitted.some((it) => it.form === form)) continue;
        const file = files.find(({ path }) => path === form)!.content.expose();
        if (value.includes("\r")) expect(faultOf(file)).toContain("carriage return");
        else expect(read(file)["NAME_0"]).toBe(value);
      }
    }),
    { numRuns: 1_000 },
  );
});
