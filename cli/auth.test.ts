import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type FakeRotation, startFakeRotation } from "../test/fakes/fake-rotation";
import { buildTestCli, type CliCall, type CliRun, type TestCli } from "../test/harness/murmur-cli";

let cli: TestCli;
let rotation: FakeRotation;
let token: string;
let cwd: string;

beforeAll(async () => {
  cli = await buildTestCli();
  rotation = await startFakeRotation();
  token = await rotation.token();
});
afterAll(async () => {
  await rotation.stop();
  cli.remove();
});
beforeEach(() => {
  cwd = mkdtempSync(join(cli.directory, "project-"));
});

const murmur = (words: string, call: CliCall = {}): Promise<CliRun> =>
  cli.run(words.split(" "), { cwd, ...call });
const auth = (call: CliCall = {}, more = "") =>
  murmur(`auth --catalog 127.0.0.1:7301 --rotation ${rotation.address}${more}`, {
    input: `${token}\n`,
    ...call,
  });
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe("murmur auth", () => {
  it("writes .murmur/murmur.local.yaml for its owner only, ignored by git", async () => {
    const { code, stdout } = await auth({}, " --workspace backend");
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "Authenticated as github/alice (owner) in tenant acme\n",
    });
    const path = join(cwd, ".murmur", "murmur.local.yaml");
    expect(modeOf(path)).toBe("600");
    expect(readFileSync(path, "utf8")).toBe(
      `catalog: 127.0.0.1:7301\nrotation: ${rotation.address}\ntenant: acme\nworkspace: backend\n` +
        `token: ${token}\n`,
    );
    const ignored = readFileSync(join(cwd, ".murmur", ".gitignore"), "utf8");
    expect(ignored).toBe("murmur.local.yaml\n");
    expect(await murmur("auth token")).toEqual({ code: 0, stdout: `${token}\n`, stderr: "" });
  });

  it("changes the nearest file above and keeps what else it says", async () => {
    const path = join(cwd, "murmur.local.yaml");
    writeFileSync(path, "# mine\nworkspace: backend # usual\nother: 1\n");
    chmodSync(path, 0o644);
    writeFileSync(join(cwd, ".gitignore"), "dist");
    const below = join(cwd, "a", "b");
    mkdirSync(below, { recursive: true });
    expect((await auth({ cwd: below })).code).toBe(0);
    const text = readFileSync(path, "utf8");
    expect(text).toContain("# mine\nworkspace: backend # usual\nother: 1\n");
    expect(text).toContain(`token: ${token}\n`);
    expect(modeOf(path)).toBe("600");
    expect(readFileSync(join(cwd, ".gitignore"), "utf8")).toBe("dist\nmurmur.local.yaml\n");
    await auth({ cwd: below });
    expect(readFileSync(join(cwd, ".gitignore"), "utf8")).toBe("dist\nmurmur.local.yaml\n");
  });

  it("writes the file that MURMUR_CONFIG names, and commands read it", async () => {
    const env = { MURMUR_CONFIG: "elsewhere.yaml" };
    expect((await auth({ env })).code).toBe(0);
    expect(modeOf(join(cwd, "elsewhere.yaml"))).toBe("600");
    expect((await murmur("auth token", { env })).stdout).toBe(`${token}\n`);
    expect((await murmur("auth token")).code).toBe(1);
  });

  it("keeps nothing of a token that rotation does not know", async () => {
    const { code, stderr } = await auth({ input: "garbled" });
    expect(code).toBe(1);
    expect(stderr).toBe(
      "murmur: auth: UNAUTHENTICATED: identity token is missing or expired\n" +
        "Run murmur auth or check your murmur.local.yaml configuration.\n",
    );
    expect(existsSync(join(cwd, ".murmur"))).toBe(false);
  });

  it("refuses a token of another tenant, and what is no token at all", async () => {
    expect((await auth({}, " --tenant other")).stderr).toBe(
      'murmur: auth: the token is for tenant "acme", not "other"\n',
    );
    expect((await auth({ input: "two words" })).stderr).toBe(
      "murmur: auth: that is no identity token or API key\n",
    );
    expect(existsSync(join(cwd, ".murmur"))).toBe(false);
  });

  it("reads the token from a file", async () => {
    writeFileSync(join(cwd, "token"), `${token}\n`);
    expect((await auth({ input: "" }, " --token-file token")).code).toBe(0);
    expect((await auth({}, " --token-file missing")).stderr).toBe(
      `murmur: auth: cannot read ${join(cwd, "missing")} (ENOENT)\n`,
    );
  });

  it("asks for the token on a terminal and does not show it", async () => {
    const words = ["auth", "--rotation", rotation.address];
    const typed = { after: "Identity token or API key: ", keys: `${token}\r` };
    const { code, stdout } = await cli.runOnTerminal(words, { cwd, typed });
    expect(code).toBe(0);
    expect(stdout).not.toContain(token);
    expect((await murmur("auth token")).stdout).toBe(`${token}\n`);
  });

  it("gives up on Ctrl-C at the prompt", async () => {
    const typed = { after: "Identity token or API key: ", keys: "abc\u0003" };
    const run = await cli.runOnTerminal(["auth", "--rotation", rotation.address], { cwd, typed });
    expect(run.code).toBe(1);
    expect(existsSync(join(cwd, ".murmur"))).toBe(false);
  });

  it("exchanges the token with --renew", async () => {
    await auth();
    expect((await murmur("auth --renew")).code).toBe(0);
    const { stdout } = await murmur("auth token");
    expect(stdout).toMatch(/^ey/);
    expect(stdout).not.toBe(`${token}\n`);
  });

  it("needs rotation's address once", async () => {
    expect(await murmur("auth", { input: token })).toEqual({
      code: 2,
      stdout: "",
      stderr: "murmur: auth: rotation's address is not known\nGive --rotation HOST:PORT.\n",
    });
  });
});

describe("the configuration", () => {
  it("is found above, in .murmur/ before plain, the nearest first", async () => {
    const write = (path: string, text: string) => {
      mkdirSync(join(cwd, path, ".."), { recursive: true });
      writeFileSync(join(cwd, path), text);
    };
    const below = join(cwd, "a/b");
    mkdirSync(below, { recursive: true });
    const found = async () => (await murmur("auth token", { cwd: below })).stdout.trim();
    write("murmur.local.yaml", "token: top-plain");
    expect(await found()).toBe("top-plain");
    write(".murmur/murmur.local.yaml", "token: top-hidden");
    expect(await found()).toBe("top-hidden");
    write("a/murmur.local.yaml", "token: near-plain");
    expect(await found()).toBe("near-plain");
    write("a/.murmur/murmur.local.yaml", "token: near-hidden");
    expect(await found()).toBe("near-hidden");
  });

  it("takes the workspace from murmur.yaml when nothing else names one", async () => {
    writeFileSync(join(cwd, "murmur.yaml"), "workspace: shared\nagents: {a: 1}\n");
    const local = `rotation: ${rotation.address}\ntoken: ${token}\n`;
    writeFileSync(join(cwd, "murmur.local.yaml"), local);
    expect((await murmur("status x")).stderr).toContain('no agent "x" in workspace "shared"');
    writeFileSync(join(cwd, "murmur.local.yaml"), `${local}workspace: own\n`);
    expect((await murmur("status x")).stderr).toContain('no agent "x" in workspace "own"');
    expect((await murmur("status --workspace flag x")).stderr).toContain('in workspace "flag"');
  });

  it("is refused with its path when it is wrong, and never quoted", async () => {
    const path = join(cwd, "murmur.local.yaml");
    for (const text of ["token: [s3cret", "- s3cret", "token: {a: s3cret}", "a: b: s3cret"]) {
      writeFileSync(path, text);
      const { code, stderr } = await murmur("auth token");
      expect(code).toBe(1);
      expect(stderr).toContain(path);
      expect(stderr).not.toContain("s3cret");
    }
  });

  it("that MURMUR_CONFIG names must be there", async () => {
    const run = await murmur("secret ls", { env: { MURMUR_CONFIG: "/nowhere/x.yaml" } });
    expect(run).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/cannot read \/nowhere\/x\.yaml \(ENOENT\)/) as string,
    });
  });

  it.each([
    ["catalog: nonsense", ": catalog must be HOST:PORT"],
    ["catalog: 127.0.0.1:99999", ": catalog must be HOST:PORT"],
    ['catalog: 127.0.0.1:1\ntoken: "two\\nlines"', ": token is no identity token"],
    ["catalog: 127.0.0.1:1\nca_file: none.pem", "none.pem (ENOENT)"],
  ])("with %j is refused before anything is sent", async (text, message) => {
    writeFileSync(join(cwd, "murmur.local.yaml"), text);
    const { code, stderr } = await murmur("secret ls");
    expect(code).toBe(1);
    expect(stderr).toContain(`murmur: secret ls: `);
    expect(stderr).toContain(message);
  });

  it("without a service's address says which file lacks it", async () => {
    const path = join(cwd, "murmur.local.yaml");
    writeFileSync(path, "token: t\n");
    expect((await murmur("secret ls")).stderr).toBe(
      `murmur: secret ls: ${path} has no catalog address\n` +
        "Run murmur auth --catalog HOST:PORT, or write catalog: HOST:PORT there.\n",
    );
  });
});
