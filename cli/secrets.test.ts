import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { DESCRIPTOR_SET } from "../gen/descriptor-set";
import { SecretServiceService } from "../gen/murmur/catalog/v1/secrets";
import { createGrpcServer } from "../lib/grpc/server";
import { issueDeveloperToken } from "../lib/identity/claims";
import { silentLog } from "../lib/log";
import { type CatalogClients, startCatalog, type TestCatalog } from "../test/harness/catalog";
import { buildTestCli, type CliCall, type CliRun, type TestCli } from "../test/harness/murmur-cli";

let cli: TestCli;
let catalog: TestCatalog;
let clients: CatalogClients;
let cwd: string;
let tenants = 0;
let tenantId: string;

beforeAll(async () => {
  cli = await buildTestCli();
  catalog = await startCatalog();
});
afterAll(async () => {
  await catalog.stop();
  cli.remove();
});
// A tenant for each test: nothing is shared.
beforeEach(async () => {
  tenantId = `tenant-${++tenants}`;
  clients = catalog.clients(catalog.developer({ tenantId }));
  cwd = cli.configured({ catalog: catalog.address, token: await token("owner") });
});

const token = (role: "member" | "owner") =>
  issueDeveloperToken(catalog.rotationKey, {
    tenantId,
    developer: "github/alice",
    role,
    ttlSeconds: 3600,
  });
const murmur = (words: string, call: CliCall = {}): Promise<CliRun> =>
  cli.run(words.split(" "), { cwd, ...call });
const ok = (stdout: string) => ({ code: 0, stdout, stderr: "" });
const refused = (...lines: string[]) => ({
  code: 1,
  stdout: "",
  stderr: lines.map((line) => `${line}\n`).join(""),
});

describe("murmur secret", () => {
  it("sets, lists by name and deletes in the words of the manual", async () => {
    const set = await murmur("secret set NPM_TOKEN", { input: "npm-1\n" });
    expect(set).toEqual(ok('Set secret "NPM_TOKEN"\n'));
    await murmur("secret set ANTHROPIC_API_KEY", { input: "sk-ant-abc123\n" });
    expect(await murmur("secret ls")).toEqual(ok("ANTHROPIC_API_KEY\nNPM_TOKEN\n"));
    expect(await murmur("secret rm NPM_TOKEN")).toEqual(ok('Deleted secret "NPM_TOKEN"\n'));
    expect(await murmur("secret ls")).toEqual(ok("ANTHROPIC_API_KEY\n"));
    expect(await murmur("secret rm NPM_TOKEN")).toEqual(
      refused(
        'murmur: secret rm NPM_TOKEN: NOT_FOUND: secret "NPM_TOKEN" not found',
        "Check the spelling. Use murmur secret ls to see the names.",
      ),
    );
  });

  it.each([
    [
      "foo",
      'secret name "foo" must match [A-Z][A-Z0-9_]*',
      "Use uppercase letters, digits, and underscores only. The name must start with a letter.",
    ],
    [
      "MURMUR_X",
      'secret name "MURMUR_X" is reserved (MURMUR_* is internal)',
      "Choose a name that does not start with MURMUR_.",
    ],
    [
      "GH_TOKEN",
      'secret name "GH_TOKEN" is reserved — it is automatically populated from the developer profile',
      "GH_TOKEN is provided automatically. You do not need to set it.",
    ],
    [
      "LD_PRELOAD",
      'secret name "LD_PRELOAD" is reserved — it changes how programs start',
      "Choose a name that no program reads when it starts.",
    ],
  ])("refuses the name %s with the reason and what to do", async (name, message, hint) => {
    expect(await murmur(`secret set ${name}`, { input: "v" })).toEqual(
      refused(`murmur: secret set ${name}: INVALID_ARGUMENT: ${message}`, hint),
    );
  });

  it("says what fits when a name is good but its variable is taken, or it is too long", async () => {
    await murmur("secret set --as-file BINARY", { input: "v" });
    const { stderr } = await murmur("secret set BINARY_FILE", { input: "v" });
    expect(stderr).toMatch(/fills NAME_FILE\nChoose another name, or delete the other secret\.\n$/);
    const long = await murmur(`secret set ${"A".repeat(256)}`, { input: "v" });
    expect(long.stderr).toMatch(/^[^\n]*exceeds 255 byte limit\n$/);
  });

  it("refuses to set nothing, and a value that is too large", async () => {
    expect(await murmur("secret set NAME", { input: "\n" })).toEqual(
      refused(
        "murmur: secret set NAME: INVALID_ARGUMENT: plaintext_value is required",
        "The write request is missing the secret value. Provide plaintext_value.",
      ),
    );
    const { code, stderr } = await murmur("secret set NAME", { input: "x".repeat(65_537) });
    expect(code).toBe(1);
    expect(stderr).toContain("A value is at most 64 KiB and holds no NUL byte.\n");
  });

  it("refuses to delete a reserved name", async () => {
    expect(await murmur("secret rm GH_TOKEN")).toEqual(
      refused(
        'murmur: secret rm GH_TOKEN: INVALID_ARGUMENT: secret name "GH_TOKEN" is reserved and cannot be deleted',
        "Reserved secrets cannot be deleted.",
      ),
    );
  });

  it("lists every fault of a write, the first as the message", async () => {
    const words = ["secret", "set", "foo", "--description", "d".repeat(1_025)];
    const { stderr } = await cli.run(words, { cwd, input: "" });
    expect(stderr.split("\n").slice(0, 3)).toEqual([
      'murmur: secret set foo: INVALID_ARGUMENT: secret name "foo" must match [A-Z][A-Z0-9_]*',
      "  also: plaintext_value is required",
      "  also: description exceeds 1024 byte limit",
    ]);
  });

  it("keeps, replaces and clears the description, and the delivery", async () => {
    const shown = async () =>
      (JSON.parse((await murmur("secret ls --json")).stdout) as object[])[0];
    const first = ["secret", "set", "KEY", "--description", "for metrics", "--as-file"];
    await cli.run(first, { cwd, input: "1" });
    await murmur("secret set KEY", { input: "2" });
    expect(await shown()).toMatchObject({
      ...{ name: "KEY", version: 2, description: "for metrics", delivery: "file" },
      updated_by: "github/alice",
    });
    await cli.run(["secret", "set", "KEY", "--description", "", "--as-env"], { cwd, input: "3" });
    expect(await shown()).toMatchObject({ version: 3, delivery: "environment" });
    expect(await shown()).not.toMatchObject({ description: "for metrics" });
  });

  it("shows version, time, author and description with -l, and history", async () => {
    await cli.run(["secret", "set", "KEY", "--description", "for metrics"], { cwd, input: "1" });
    await murmur("secret set KEY", { input: "2" });
    expect((await murmur("secret ls -l")).stdout.split("\n")).toEqual([
      "NAME  VERSION  UPDATED   BY            DELIVERY     DESCRIPTION",
      "KEY   2        just now  github/alice  environment  for metrics",
      "",
    ]);
    await murmur("secret rm KEY");
    const { stdout } = await murmur("secret history KEY");
    // A first version may be some seconds old by now, which makes its column wider.
    const rows = stdout.replace(/\d+ seconds ago/g, "just now").replace(/ {2,}/g, "|");
    expect(rows.split("\n")).toEqual([
      "VERSION|WRITTEN|BY|STATE",
      "3|just now|github/alice|deleted",
      "2|just now|github/alice",
      "1|just now|github/alice",
      "",
    ]);
  });

  it("marks a version that was destroyed in the history", async () => {
    await murmur("secret set KEY", { input: "1" });
    await murmur("secret set KEY", { input: "2" });
    await clients.secrets.destroySecretVersion({ name: "KEY", version: 1n, force: false });
    expect((await murmur("secret history KEY")).stdout).toMatch(/^2 .* current\n1 .* destroyed\n/m);
    expect(JSON.parse((await murmur("secret history --json KEY")).stdout)).toMatchObject([
      ...[{ destroyed: false }, { destroyed: true, deleted: false }],
    ]);
  });

  describe("import", () => {
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
    ])(
      "writes nothing of %j and says why, with the line and without a value",
      async (input, why) => {
        const { code, stdout, stderr } = await importing("-", input);
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
        expect(stderr).toContain(why);
        expect(stderr).toMatch(/^murmur: secret import -: /);
        expect(stderr).not.toContain("mark");
        expect((await murmur("secret ls")).stdout).toBe("OLD\n");
      },
    );

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

  it("refuses a write that lost the race, and a version that is no number", async () => {
    await murmur("secret set KEY", { input: "1" });
    const { code, stderr } = await murmur("secret set KEY --expected-version 0", { input: "2" });
    expect(code).toBe(1);
    expect(stderr).toContain("murmur: secret set KEY: ABORTED: ");
    expect(await murmur("secret set KEY --expected-version x", { input: "2" })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--expected-version must be a whole number") as string,
    });
  });

  it("lists more secrets than fit one page", async () => {
    const names = Array.from({ length: 3 }, (_, i) => `KEY_${i}`);
    for (const name of names) await murmur(`secret set ${name}`, { input: "v" });
    expect((await murmur("secret ls")).stdout).toBe(names.map((name) => `${name}\n`).join(""));
  });

  it("tells a member that writing is not theirs", async () => {
    const member = cli.configured({ catalog: catalog.address, token: await token("member") });
    expect(await murmur("secret set KEY", { cwd: member, input: "v" })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^murmur: secret set KEY: PERMISSION_DENIED: /) as string,
    });
  });

  it("asks for the value on a terminal and does not show it", async () => {
    const typed = { after: "Value of KEY: ", keys: "s3cret-Valü\u007fue\r" };
    const run = await cli.runOnTerminal(["secret", "set", "KEY"], { cwd, typed });
    expect(run.code).toBe(0);
    expect(run.stdout).toContain('Set secret "KEY"');
    expect(run.stdout).not.toContain("s3");
  });

  it("says which service is away, and what to check", async () => {
    const nowhere = cli.configured({ catalog: "127.0.0.1:1", token: "t" });
    expect(await murmur("secret ls", { cwd: nowhere })).toEqual(
      refused(
        "murmur: secret ls: UNAVAILABLE: service is away",
        "Nothing was half done. Try again in a moment, or check the addresses in murmur.local.yaml.",
      ),
    );
  });
});

describe("murmur set, get and rm", () => {
  it.each([
    ["JSON", '{"name": "KEY", "plaintext_value": "dd", "description": "metrics"}'],
    ["YAML", "name: KEY\nplaintext_value: dd\ndescription: metrics\n"],
  ])("sets a secret from %s and never shows its value", async (_form, input) => {
    expect(await murmur("set secret KEY", { input })).toEqual(ok('Set secret "KEY"\n'));
    const { stdout } = await murmur("get secret KEY");
    expect(stdout).toMatch(/^name: KEY\nversion: 1\n/);
    expect(stdout).toContain("description: metrics\n");
    expect(stdout).not.toContain("dd");
    expect(await murmur("get secret")).toEqual(ok("KEY\n"));
    expect(await murmur("rm secret KEY")).toEqual(ok('Deleted secret "KEY"\n'));
  });

  it("refuses a name that differs from the argument", async () => {
    const input = '{"name": "OTHER", "plaintext_value": "v"}';
    const { code, stderr } = await murmur("set secret KEY", { input });
    expect(code).toBe(1);
    expect(stderr).toBe(
      'murmur: set secret KEY: INVALID_ARGUMENT: name "OTHER" differs from the argument "KEY"\n',
    );
  });

  it("never repeats a value that stands where none belongs", async () => {
    const inputs = [
      "plaintext_value: [s3cret",
      '{"plaintext_value": s3cret"',
      '{"plaintext_value": 0.5, "x": "s3cret"}',
      "plaintext_value: {a: s3cret}",
      "s3cret",
      "name: KEY\nplaintext_value: &a s3cret\ndescription: *a\n",
    ];
    for (const input of inputs) {
      const { code, stdout, stderr } = await murmur("set secret KEY", { input });
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/^murmur: set secret KEY: INVALID_ARGUMENT: /);
      expect(stderr).not.toContain("s3cret");
    }
  });

  it("sets, shows and deletes a workspace, and takes back what it showed", async () => {
    const input = "description: services\nsecret_refs: [NPM_TOKEN]\n";
    const set = await murmur("set workspace backend", { input });
    expect(set).toMatchObject({ code: 0, stdout: 'Set workspace "backend"\n' });
    expect(set.stderr).toMatch(/^warning: .*NPM_TOKEN/);
    const { stdout } = await murmur("get workspace backend");
    expect((await murmur("set workspace backend", { input: stdout })).code).toBe(0);
    const { workspace } = await clients.workspaces.getWorkspace({ name: "backend" });
    expect(workspace).toMatchObject({
      description: "services",
      secretRefs: { names: ["NPM_TOKEN"] },
      revision: 2n,
    });
    expect(await murmur("get workspace")).toEqual(ok("backend\n"));
    expect(await murmur("rm workspace backend")).toEqual(ok('Deleted workspace "backend"\n'));
  });

  it("keeps apart a workspace of all secrets and one of none", async () => {
    await murmur("set workspace all", { input: "" });
    await murmur("set workspace none", { input: '{"secret_refs": []}' });
    const { workspaces } = await clients.workspaces.listWorkspaces({ pageSize: 0, pageToken: "" });
    expect(workspaces.map(({ secretRefs }) => secretRefs)).toEqual([undefined, { names: [] }]);
  });

  it("refuses kinds and fields that it does not know", async () => {
    expect(await murmur("get users alice")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        "kind must be one of secret, user-secret, user, workspace",
      ) as string,
    });
    const { stderr } = await murmur("set workspace backend", { input: "secret_ref: [A]" });
    expect(stderr).toContain('INVALID_ARGUMENT: field "secret_ref" is not known');
  });
});

describe("murmur set, get and rm of a developer's secrets and profile", () => {
  const SECRET = "github/alice/GH_TOKEN";

  it("keep a secret that they never show, and that the profile makes to GH_TOKEN", async () => {
    const input = '{"plaintext_value": "ghp-s3cret", "description": "mine"}';
    expect(await murmur(`set user-secret ${SECRET}`, { input })).toEqual(
      ok(`Set user-secret "${SECRET}"\n`),
    );
    const profile = await murmur("set user github/alice", {
      input: "github_token_secret: GH_TOKEN",
    });
    expect(profile).toEqual(ok('Set user "github/alice"\n'));
    const secret = await murmur(`get user-secret ${SECRET}`);
    expect(secret.stdout).toMatch(/^name: github\/alice\/GH_TOKEN\nversion: 1\n/);
    const shown = await murmur("get user github/alice");
    expect(shown.stdout).toMatch(
      /^name: github\/alice\ngithub_token_secret: github\/alice\/GH_TOKEN\n/,
    );
    for (const words of ["get user-secret", "get user-secret -l", "get user-secret --json"]) {
      const { stdout } = await murmur(words);
      expect(stdout).toContain(SECRET);
      expect(stdout + secret.stdout).not.toContain("s3cret");
    }
    expect(await murmur("get user")).toEqual(ok("github/alice\n"));
    expect((await murmur("get user -l")).stdout).toContain(SECRET);
    // What is shown can be set again.
    expect((await murmur("set user github/alice", { input: shown.stdout })).code).toBe(0);
    expect((await murmur(`secret history ${SECRET}`)).stdout).toContain("current");
    expect(await murmur(`rm user-secret ${SECRET}`)).toEqual(
      ok(`Deleted user-secret "${SECRET}"\n`),
    );
    expect(await murmur("rm user github/alice")).toEqual(ok('Deleted user "github/alice"\n'));
  });

  it("say what is missing in words that fit", async () => {
    expect(await murmur(`get user-secret ${SECRET}`)).toEqual(
      refused(
        `murmur: get user-secret ${SECRET}: NOT_FOUND: secret "${SECRET}" not found`,
        "Check the spelling. Use murmur get user-secret to see the names.",
      ),
    );
    expect(await murmur("get user github/alice")).toEqual(
      refused(
        'murmur: get user github/alice: NOT_FOUND: user "github/alice" not found',
        "Use murmur get user to see the profiles, murmur set user to make one.",
      ),
    );
    const { code, stderr } = await murmur("set user github/alice", {
      input: "github_token_secret: ABSENT",
    });
    expect(code).toBe(0);
    expect(stderr).toContain('warning: secret "github/alice/ABSENT" in github_token_secret');
  });

  it("are a member's own, and nobody else's", async () => {
    const member = cli.configured({ catalog: catalog.address, token: await token("member") });
    const input = '{"plaintext_value": "v"}';
    expect((await murmur(`set user-secret ${SECRET}`, { cwd: member, input })).code).toBe(0);
    const others = await murmur("set user-secret github/bob/A", { cwd: member, input });
    expect(others.stderr).toContain("PERMISSION_DENIED");
    await murmur("set user-secret github/bob/A", { input });
    expect(await murmur("get user-secret", { cwd: member })).toEqual(ok(`${SECRET}\n`));
  });

  it("refuse a name that differs from the argument, and never repeat a value", async () => {
    const input = '{"name": "GH_TOKEN", "plaintext_value": "s3cret"}';
    const { code, stderr } = await murmur(`set user-secret ${SECRET}`, { input });
    expect(code).toBe(1);
    expect(stderr).toContain(`name "GH_TOKEN" differs from the argument "${SECRET}"`);
    expect(stderr).not.toContain("s3cret");
  });
});

describe("murmur vm", () => {
  it("issues a join token alone on standard output and removes a VM", async () => {
    const { code, stdout, stderr } = await murmur("vm join-token build-1");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^mur_join_\S+\n$/);
    expect(stderr).toContain('Works once, for VM "build-1"; expires in 10 minutes.\n');
    await catalog.joinVm(tenantId, "build-2");
    expect(await murmur("vm rm build-2")).toEqual(ok('Removed VM "build-2"\n'));
    expect((await murmur("vm rm build-2")).stderr).toContain(": NOT_FOUND: ");
  });
});

describe("a value", () => {
  it("arrives byte for byte, less one newline at its end", async () => {
    const received: Buffer[] = [];
    const recorder = await startRecorder(received);
    const into = cli.configured({ catalog: recorder.address, token: "t" });
    const random = fc.sample(fc.uint8Array({ maxLength: 300 }), { numRuns: 5, seed: 7 });
    const values = [
      ...["a\r\n", "\n\n", " $x = `y` \\ # \"'\t", "ü\0", "x".repeat(65_536)],
      ...random.map((bytes) => Buffer.from(bytes)),
    ].map((value) => Buffer.from(value as string));
    for (const value of values) {
      const input = Buffer.concat([value, Buffer.from("\n")]);
      expect((await murmur("secret set KEY", { input, cwd: into })).code).toBe(0);
    }
    await recorder.stop();
    expect(received.map((value) => value.toString("hex"))).toEqual(
      values.map((value) => value.toString("hex")),
    );
  });

  it("is literal text in JSON and YAML", async () => {
    const received: Buffer[] = [];
    const recorder = await startRecorder(received);
    const into = cli.configured({ catalog: recorder.address, token: "t" });
    const documents = {
      '{"plaintext_value": "ZGQ=\\n\\u00fc"}': "ZGQ=\nü",
      "plaintext_value: 007": "007",
      "plaintext_value: true": "true",
      "plaintext_value: |\n  line 1\n  line 2\n": "line 1\nline 2\n",
      "plaintext_value: ' a '": " a ",
    };
    for (const input of Object.keys(documents))
      expect((await murmur("set secret KEY", { input, cwd: into })).code).toBe(0);
    await recorder.stop();
    expect(received.map((value) => value.toString())).toEqual(Object.values(documents));
  });
});

/** A catalog that takes any value from anybody and keeps it, to look at what was sent. */
async function startRecorder(received: Buffer[]) {
  const unused = () => Promise.reject(new Error("not used here"));
  const paths = Object.values(SecretServiceService).map(({ path }) => path);
  const server = createGrpcServer({
    authenticate: () => Promise.resolve(undefined),
    log: silentLog,
    maxTimeoutMs: 10_000,
    access: Object.fromEntries(paths.map((path) => [path, { anyone: true as const }])),
    descriptorSet: DESCRIPTOR_SET,
  });
  server.add(SecretServiceService, {
    setSecret: ({ plaintextValue }) => {
      received.push(plaintextValue);
      return Promise.resolve({ secret: undefined });
    },
    getSecret: unused,
    listSecrets: unused,
    deleteSecret: unused,
    listSecretVersions: unused,
    importSecrets: unused,
    revokeSecret: unused,
    destroySecretVersion: unused,
  });
  const port = await server.listen("127.0.0.1:0");
  return { address: `127.0.0.1:${port}`, stop: () => server.stop(0) };
}
