import { execFileSync } from "node:child_process";
import dotenv from "dotenv";
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
  [
    "plain values",
    "A=1\n B=a*?[]{}!~^%@:/+-,.\nexport C=x=y\n",
    { A: "1", B: "a*?[]{}!~^%@:/+-,.", C: "x=y" },
  ],
  ["the last line without its end", "A=1\nB=2", { A: "1", B: "2" }],
  ["a comment after a closing quote", "A='1' # one\nB=\"2\"\t# two\n", { A: "1", B: "2" }],
  ["no value", "A=\nB=''\n", { A: "", B: "" }],
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
  ["A=`x`\n", /^line 1: some programs run what stands in backticks/],
  ["A=x`y`\n", /^line 1: some programs run what stands in backticks/],
  ['A=1\nB="x`y`"\n', /^line 2: some programs expand \$ and backticks/],
  ["A=abc#def\n", /^line 1: some programs read # as a comment/],
  ["A=1\nPW=pass word # tail\n", /^line 2: some programs read # as a comment/],
  ["A=x # tail\n", /^line 1: some programs read # as a comment/],
  ["A=# none\n", /^line 1: some programs read # as a comment/],
  ["A=${HOME}\n", /^line 1: some programs expand \$/],
  ["A=$HOME\n", /^line 1: some programs expand \$/],
  ['A="x\n$(id)"\n', /^line 1: some programs expand \$/],
  ['A="$HOME"\n', /^line 1: some programs expand \$/],
  ["A=~/x\n", /^line 1: some programs expand ~/],
  ["A=/bin:~/bin\n", /^line 1: some programs expand ~/],
  ["A=x\\y\n", /^line 1: some programs take a backslash away/],
  ["A=it's\n", /^line 1: some programs take quotes away/],
  ['A=a"b c"d\n', /^line 1: some programs take quotes away/],
  ['A={"a":1}\n', /^line 1: some programs take quotes away/],
  ["A=two words\n", /^line 1: some programs end a value at a blank/],
  ["A=x \n", /^line 1: some programs end a value at a blank/],
  ["A=x\u00a0\n", /^line 1: some programs end a value at a blank/],
  ["A=http://x?a=1&b=2\n", /^line 1: some programs end a value at one of/],
  ["A = x\n", "line 1: blanks stand beside its =: some programs keep them"],
  ["A =x\n", "line 1: blanks stand beside its ="],
  ["A= 'x'\n", "line 1: blanks stand beside its ="],
  ["A=1\nB='x\ry'\n", /^line 2: it has a carriage return/],
  ["A=1\r\nB=2\n", /^line 1: it has a carriage return/],
  [Buffer.from([0x41, 0x3d, 0x31, 0x0a, 0x42, 0x3d, 0xff, 0x0a]), "line 2: it is not UTF-8"],
])("refuses %j and names the line", (text, fault) => {
  expect(faultOf(text)).toMatch(fault);
});

test("a value without quotes is refused, or is what dotenv and a shell read", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (value) => {
      const text = `A=${value}\n`;
      if (/[\0\n\r]|^['"]/.test(value) || faultOf(text)) return;
      expect(read(text)).toEqual({ A: value });
      expect(dotenv.parse(text)).toEqual({ A: value });
      const script = 'eval "$1"; printf %s "$A"';
      expect(execFileSync("sh", ["-c", script, "sh", text]).toString()).toBe(value);
    }),
    { numRuns: 100 },
  );
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
