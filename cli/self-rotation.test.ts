import { type CredentialIssuer, startCredentialIssuer } from "../test/harness/credentials";
import { buildTestCli, type CliRun, type TestCli } from "../test/harness/murmur-cli";

const PAIR =
  /^AGENT_API_KEY=(mur_agt_[0-9A-Za-z]{49})\nAGENT_ROTATION_SECRET=(mur_rot_[0-9A-Za-z]{49})\n$/;

let cli: TestCli;
let issuer: CredentialIssuer;
let cwd: string;

beforeAll(async () => {
  cli = await buildTestCli();
  issuer = await startCredentialIssuer();
  const rotation = issuer.rotation.address;
  cwd = cli.configured({ rotation, catalog: rotation, token: await issuer.token("github/ann") });
});
afterAll(async () => {
  await issuer.stop();
  cli.remove();
});

const murmur = (...words: string[]): Promise<CliRun> => cli.run(words, { cwd });
const isValid = async (value = "") => (await issuer.verifier().verifyCredential({ value })).valid;
const register = async (name: string) => {
  const { code, stdout, stderr } = await murmur("agents", "register", name);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(PAIR) as string });
  expect(stderr).toContain("Both values are shown once: save them now.\n");
  const [, apiKey = "", rotationSecret = ""] = PAIR.exec(stdout) ?? [];
  return { apiKey, rotationSecret };
};

describe("murmur agents", () => {
  it("invite prints an invitation with which an agent registers itself", async () => {
    const { code, stdout, stderr } = await murmur("agents", "invite");
    expect({ code, stderr }).toEqual({
      ...{ code: 0, stderr: "One agent may register with it, once, within 10 minutes.\n" },
    });
    const request = { invitation: stdout.trim(), name: "invited", requestId: "" };
    expect((await issuer.anyone.registerAgent(request)).agent?.owner).toBe("github/ann");
  });

  it("register prints the pair as an env file, or as JSON", async () => {
    await register("my-coder");
    const { stdout } = await murmur("agents", "register", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ api_key: expect.stringMatching(/^mur_agt_/) as string, owner: "github/ann" },
      rotation_secret: expect.stringMatching(/^mur_rot_/) as string,
    });
  });

  it("rotate gives it a new pair and ends the old one", async () => {
    const old = await register("rotated");
    const { code, stdout, stderr } = await murmur("agents", "rotate", "rotated");
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(PAIR) as string });
    expect(stderr).toContain("Agent rotated has a new pair; the old one has ended.\n");
    expect([await isValid(old.apiKey), await isValid(PAIR.exec(stdout)?.[1])]).toEqual([
      ...[false, true],
    ]);
  });

  it("revoke ends it", async () => {
    const { apiKey } = await register("over");
    expect(await murmur("agents", "revoke", "over")).toEqual({
      ...{ code: 0, stdout: "Revoked agent over\n", stderr: "" },
    });
    expect(await isValid(apiKey)).toBe(false);
  });

  it.each(["rotate", "revoke"])("%s says when there is none of that name", async (word) => {
    const { code, stderr } = await murmur("agents", word, "nobody");
    expect(code).toBe(1);
    expect(stderr).toContain('NOT_FOUND: no registered agent "nobody"\n');
  });

  it("of tokens that rotate themselves, tokens rotate points here", async () => {
    await register("pointed");
    const { stdout } = await murmur("tokens", "ls", "--json");
    const tokens = JSON.parse(stdout) as { id: string; agent_name: string }[];
    const { id = "" } = tokens.find((it) => it.agent_name === "pointed") ?? {};
    const { code, stderr } = await murmur("tokens", "rotate", id, "--grace", "0");
    expect(code).toBe(1);
    expect(stderr).toContain("use `murmur agents rotate pointed`");
  });
});
