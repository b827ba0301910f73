import type { CatalogClients, TestCatalog } from "../test/harness/catalog";
import type { TestCli } from "../test/harness/murmur-cli";
import { ok, refused, useCatalogRig } from "../test/harness/catalog-rig";

const rig = useCatalogRig();
const { murmur, token } = rig;
let cli: TestCli;
let catalog: TestCatalog;
let clients: CatalogClients;

beforeEach(() => {
  ({ cli, catalog, clients } = rig);
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
