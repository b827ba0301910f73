import { execFile, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type FakeRotation, fakeAgent, startFakeRotation } from "../test/fakes/fake-rotation";
import { eventually } from "../test/harness/eventually";
import { buildTestCli, type TestCli } from "../test/harness/murmur-cli";
import { COMMAND_GROUPS } from "./syntax";

const COMMANDS = COMMAND_GROUPS.flatMap(({ commands }) => commands);

let cli: TestCli;

beforeAll(async () => {
  cli = await buildTestCli();
});
afterAll(() => {
  cli.remove();
});
const murmur = (words: string) => cli.run(words.split(" ").filter(Boolean));

describe("help", () => {
  it("shows every command with an example", async () => {
    const { code, stdout, stderr } = await murmur("--help");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const { path, examples } of COMMANDS) {
      expect(stdout).toContain(`\n  ${path.join(" ")}`);
      expect(stdout).toContain(`$ ${examples[0]}\n`);
    }
  });

  it("is there for every command, with its options and examples", async () => {
    for (const { path, options, examples } of COMMANDS) {
      const { code, stdout } = await murmur(`${path.join(" ")} --help`);
      expect(code).toBe(0);
      for (const { flags } of options) expect(stdout).toContain(flags);
      for (const example of examples) expect(stdout).toContain(example);
    }
  }, 180_000);

  it("goes to standard error, with exit status 2, when no command was given", async () => {
    expect(await murmur("")).toMatchObject({ code: 2, stdout: "" });
    expect(await murmur("secret")).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("wrong usage", () => {
  it.each([
    ["foo", "murmur: unknown command 'foo'", "Try murmur --help."],
    ["secret lss", "murmur: secret: unknown command 'lss' (Did you mean ls?)", ""],
    ["rekey", "murmur: rekey: name one of: an agent, --secret NAME, --all", "Try murmur --help."],
    ["explain", "murmur: explain: missing required argument 'slug'", "Try murmur explain --help."],
    ["ls --nope", "murmur: ls: unknown option '--nope'", "Try murmur ls --help."],
    ["spawn x", "murmur: spawn: missing required argument 'command'", ""],
    ["rekey x --timeout", "murmur: rekey: option '--timeout <duration>' argument missing", ""],
    ["rekey --timeout 5 x", "murmur: rekey x: --timeout must be a duration", ""],
    ["rekey --wait forever x", "murmur: rekey x: --wait must be files or processes", ""],
    ["rollouts --limit 0", "murmur: rollouts: --limit must be at least 1", ""],
    ["completion tcsh", "murmur: completion tcsh: shell must be one of bash, zsh, fish", ""],
    ["secret set A --as-file --as-env", "murmur: secret set A: --as-file and --as-env", ""],
    [
      "set users x",
      "murmur: set users x: kind must be one of secret, user-secret, user, workspace",
      "",
    ],
    ["rm user-secret x/A", "a developer's secret is named PROVIDER/USERNAME/NAME", ""],
    ["status x", "murmur: status x: no workspace is named", "Give --workspace NAME"],
  ])("murmur %s exits 2 and says what is wrong", async (words, message, hint) => {
    const { code, stdout, stderr } = await murmur(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).toContain(hint);
  });

  it("never repeats the value of an option", async () => {
    const { stderr } = await cli.run(["spawn", "-e", "A=s3cret", "-e", "A=s3cret", "x", "--", "y"]);
    expect(stderr).toMatch(/^murmur: spawn x: -e A is given twice/);
    expect(stderr).not.toContain("s3cret");
  });
});

describe("a reader that had enough", () => {
  it("is no failure", () => {
    const command = `${process.execPath} ${cli.file} --help | head -1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync("bash", ["-c", command], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/\n0\n$/);
  });
});

it("output that cannot be written is an error in a sentence", () => {
  const command = `${process.execPath} ${cli.file} --help > /dev/full`;
  const { status, stderr } = spawnSync("bash", ["-c", command], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({
    ...{ status: 1, stderr: "murmur: the output could not be written: ENOSPC\n" },
  });
});

describe("completion in a real bash", () => {
  let rotation: FakeRotation;
  beforeAll(async () => {
    rotation = await startFakeRotation();
    rotation.agents.push(fakeAgent({ path: "fix-auth" }), fakeAgent({ path: "fix-auth/tests" }));
  });
  afterAll(() => rotation.stop());

  it("completes commands and slugs", async () => {
    const token = await rotation.token();
    const cwd = cli.configured({ rotation: rotation.address, workspace: "backend", token });
    const murmurFile = join(cwd, "murmur");
    const script = `#!/bin/sh\nexec '${process.execPath}' '${cli.file}' "$@"\n`;
    writeFileSync(murmurFile, script, { mode: 0o755 });
    const complete = async (line: string) => {
      const words = line.split(" ").map((word) => `'${word}'`);
      const commands = [
        `eval "$(murmur completion bash)"`,
        `COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; _murmur`,
        `printf '%s\\n' "\${COMPREPLY[@]}"`,
      ];
      writeFileSync(join(cwd, "line.sh"), commands.join("\n"));
      // Not spawnSync: the service that is asked lives in this process.
      return new Promise<string[]>((resolve) => {
        const env = { PATH: `${cwd}:${process.env["PATH"] ?? ""}` };
        execFile("bash", ["line.sh"], { cwd, env }, (_error, stdout) => {
          resolve(stdout.trim().split("\n"));
        });
      });
    };
    expect(await complete("murmur se")).toEqual(["secret", "set"]);
    // Who types waits for no service for long: on a machine with much to do, nothing is offered.
    await eventually(async () =>
      expect(await complete("murmur rekey fix-auth/")).toEqual(["fix-auth/tests"]),
    );
    expect(await complete("murmur rekey nothing")).toEqual([""]);
  });
});
