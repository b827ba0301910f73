import type { CatalogClients, TestCatalog } from "../test/harness/catalog";
import type { TestCli } from "../test/harness/murmur-cli";
import { ok, refused, useCatalogRig } from "../test/harness/catalog-rig";

const rig = useCatalogRig();
const { murmur, token } = rig;
let cli: TestCli;
let catalog: TestCatalog;
let clients: CatalogClients;
let cwd: string;
let tenantId: string;

beforeEach(() => {
  ({ cli, catalog, clients, cwd, tenantId } = rig);
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
