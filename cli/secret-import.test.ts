import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ok, refused, useCatalogRig } from "../test/harness/catalog-rig";

const rig = useCatalogRig();
const { murmur } = rig;
let cwd: string;

beforeEach(() => {
  ({ cwd } = rig);
});

describe("murmur secret import", () => {
  const FILE = "# of the team\nNEW=n-1\nexport OLD='o\n2'\n";
  const importing = (words: string, input: string) => murmur(`secret import ${words}`, { input });

  beforeEach(() => murmur("secret set OLD", { input: "o-1" }));

  it("writes all of an env file and says what is new and what has changed", async () => {
    writeFileSync(join(cwd, "team.env"), FILE);
    expect(await murmur("secret import team.env")).toEqual(
      ok('Added secret "NEW"\nChanged secret "OLD"\n'),
    );
    expect((await murmur("secret ls -l")).stdout).toMatch(/^NEW +1 [^]*^OLD +2 /m);
  });

  it("with --dry-run says what would become of it, and writes nothing", async () => {
    expect(await importing("--dry-run -", FILE)).toEqual(
      ok('Would add secret "NEW"\nWould change secret "OLD"\n'),
    );
    expect((await murmur("secret ls")).stdout).toBe("OLD\n");
  });

  it("with --json says it for machines, a name that comes back included", async () => {
    await murmur("secret rm OLD");
    const { code, stdout } = await importing("--json -", FILE);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual([
      { name: "NEW", change: "added", version: 1 },
      { name: "OLD", change: "added", version: 3 },
    ]);
  });

  it.each([
    ["A=1\nB='x\n", ": standard input, line 2: its single quote is not closed\n"],
    ["# nothing\n", ": standard input holds no NAME=value\n"],
    ["A=1\nGH_TOKEN=x\n", "line 2 of standard input. Nothing was imported.\n"],
    ["A=1\n\nb=mark\n", "It is on line 3 of standard input. Nothing was imported.\n"],
    ["A=\n", "plaintext_value is required\nIt is on line 1 of standard input."],
  ])("writes nothing of %j and says why, with the line and without a value", async (input, why) => {
    const { code, stdout, stderr } = await importing("-", input);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(why);
    expect(stderr).toMatch(/^murmur: secret import -: /);
    expect(stderr).not.toContain("mark");
    expect((await murmur("secret ls")).stdout).toBe("OLD\n");
  });

  it("says that a file is not there or is too large", async () => {
    expect(await murmur("secret import none.env")).toEqual(
      refused("murmur: secret import none.env: cannot read none.env (ENOENT)"),
    );
    writeFileSync(join(cwd, "large.env"), Buffer.alloc(1024 * 1024 + 1, "#"));
    expect(await murmur("secret import large.env")).toEqual(
      refused("murmur: secret import large.env: large.env holds more than 1 MiB"),
    );
  });
});
