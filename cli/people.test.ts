import { type CredentialIssuer, startCredentialIssuer } from "../test/harness/credentials";
import { buildTestCli, type CliRun, type TestCli } from "../test/harness/murmur-cli";

let cli: TestCli;
let issuer: CredentialIssuer;
let cwd: string;

beforeAll(async () => {
  cli = await buildTestCli();
  issuer = await startCredentialIssuer();
  const rotation = issuer.rotation.address;
  cwd = cli.configured({ rotation, catalog: rotation, token: await issuer.token("github/olga") });
});
afterAll(async () => {
  await issuer.stop();
  cli.remove();
});

const murmur = (words: string): Promise<CliRun> => cli.run(words.split(" "), { cwd });
const done = (stdout: string, stderr = "") => ({ code: 0, stdout: `${stdout}\n`, stderr });

describe("murmur people", () => {
  it("adds, lists, promotes and removes", async () => {
    expect(await murmur("people add github/bob")).toEqual(done("Added github/bob (member)"));
    expect(await murmur("people set-role github/bob admin")).toEqual(done("github/bob is admin"));
    const { stdout } = await murmur("people ls");
    expect(stdout).toMatch(/^DEVELOPER +ROLE +ADDED +BY\n/);
    expect(stdout).toMatch(/^github\/bob +admin +.+ github\/olga$/m);
    expect(stdout).toMatch(/^github\/olga +owner +.+ an operator$/m);
    const { stdout: json } = await murmur("people ls --json");
    expect(JSON.parse(json)).toMatchObject([
      { developer: "github/bob", role: "admin", added_by: "github/olga" },
      { developer: "github/olga", role: "owner" },
    ]);
    await issuer.create(issuer.developer("github/max"));
    expect(await murmur("people rm github/max")).toEqual(
      done("Removed github/max", "Revoked 1 API key or agent token\n"),
    );
    expect(await murmur("people rm github/bob")).toEqual(done("Removed github/bob"));
  });

  it("says what to do when it cannot", async () => {
    expect((await murmur("people rm github/olga")).stderr).toBe(
      'murmur: people rm github/olga: FAILED_PRECONDITION: "github/olga" is the last owner of the tenant\n' +
        "Make somebody else an owner first.\n",
    );
    expect((await murmur("people rm github/nobody")).stderr).toContain(
      'NOT_FOUND: no person "github/nobody" in the tenant\nUse murmur people ls',
    );
    await murmur("people add github/ann --role admin");
    expect((await murmur("people add github/ann")).stderr).toContain(
      'ALREADY_EXISTS: "github/ann" is in the tenant already, as admin\nUse murmur people set-role',
    );
  });

  it.each(["people add a/b --role king", "people set-role a/b king"])(
    "refuses a role that is none: %s",
    async (words) => {
      const { code, stderr } = await murmur(words);
      expect(code).toBe(2);
      expect(stderr).toContain("must be one of member, admin, owner");
    },
  );
});
