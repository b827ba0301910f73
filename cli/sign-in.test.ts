import { existsSync, mkdtempSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Role } from "../gen/murmur/rotation/v1/identity";
import { type Fleet, startFleet } from "../test/harness/fleet";
import { buildTestCli, type TestCli } from "../test/harness/murmur-cli";
import { type OidcProvider, startOidcProvider } from "../test/harness/oidc-provider";

let cli: TestCli;
let provider: OidcProvider;
let fleet: Fleet;

beforeAll(async () => {
  cli = await buildTestCli();
  provider = await startOidcProvider();
  fleet = await startFleet({
    signIn: {
      ...{ issuer: provider.issuer, clientId: "murmur-cli", sessionSeconds: 3_600 },
      scopes: ["openid", "email"],
      naming: { provider: "corp", claim: "email", domain: "example.com" },
      newcomers: undefined,
    },
  });
  await fleet.owner.people.addPerson({ developer: "corp/alice", role: Role.ROLE_ADMIN });
});
afterAll(async () => {
  await fleet.stop();
  await provider.stop();
  cli.remove();
});

const PROMPT = /^Open (\S+)\nand check that it shows the code ([A-Z]{4}-[A-Z]{4})\n/;

/** Runs `murmur auth --login`, and does what it says in a browser. */
async function login(name: string, { agree = true, words = [] as string[] } = {}) {
  const cwd = mkdtempSync(join(cli.directory, "login-"));
  let visit: Promise<string> | undefined;
  const run = await cli.run(["auth", "--login", "--rotation", fleet.rotation.address, ...words], {
    cwd,
    onNote: (stderr) => {
      const [, url] = PROMPT.exec(stderr) ?? [];
      if (url !== undefined) visit ??= provider.visit(url, name, agree);
    },
  });
  await visit;
  return { ...run, cwd };
}

describe("murmur auth --login", () => {
  it("signs in with a real provider, in a browser that the command only tells what to do", async () => {
    const { code, stdout, stderr, cwd } = await login("alice");
    expect(stderr).toMatch(PROMPT);
    expect({ code, stdout }).toEqual({
      ...{ code: 0, stdout: "Authenticated as corp/alice (admin) in tenant t1\n" },
    });
    const file = join(cwd, ".murmur", "murmur.local.yaml");
    expect(stderr).toContain(`kept in ${file}\n`);
    expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
    expect(readFileSync(join(cwd, ".murmur", ".gitignore"), "utf8")).toBe("murmur.local.yaml\n");
    const status = await cli.run(["auth", "status"], { cwd });
    expect(status.stdout).toMatch(
      /^developer: +corp\/alice\nrole: +admin\ntenant: +t1\nby: +identity token, expires in (1 hour|\d+ minutes)\nkept in: /,
    );
  });

  it("keeps nothing of whoever is not in the tenant, and says what to do", async () => {
    const { code, stdout, stderr, cwd } = await login("bob", { words: ["--tenant", "t1"] });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(
      "murmur: auth: PERMISSION_DENIED: corp/bob is not in the tenant\nAsk an owner to let you in",
    );
    expect(existsSync(join(cwd, ".murmur"))).toBe(false);
  });

  it("ends when somebody says no in the browser", async () => {
    const { code, stderr } = await login("alice", { agree: false });
    expect(code).toBe(1);
    expect(stderr).toContain("murmur: auth: the sign-in was refused in the browser\n");
  });

  it("says that there is no provider where none is configured, or that it cannot be reached", async () => {
    const without = await startFleet();
    const words = (address: string) => ["auth", "--login", "--rotation", address];
    const none = await cli.run(words(without.rotation.address));
    expect(none.stderr).toContain("FAILED_PRECONDITION: no identity provider is configured\n");
    await without.stop();
    const away = await startFleet({
      signIn: {
        ...{ issuer: "http://127.0.0.1:9", clientId: "murmur-cli", scopes: ["openid"] },
        naming: { provider: "corp", claim: "sub", domain: undefined },
        ...{ newcomers: undefined, sessionSeconds: 60 },
      },
    });
    const unreached = await cli.run(words(away.rotation.address));
    expect(unreached.stderr).toContain("murmur: auth: cannot sign in at http://127.0.0.1:9 (");
    await away.stop();
  });
});
