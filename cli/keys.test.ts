import { randomUUID } from "node:crypto";
import { type CredentialIssuer, startCredentialIssuer } from "../test/harness/credentials";
import { buildTestCli, type CliRun, type TestCli } from "../test/harness/murmur-cli";

const KEY = /^mur_key_[0-9A-Za-z]{49}\n$/;
const PERIODS = "0, 15m, 1h, 6h, 24h, 3d, 7d";

let cli: TestCli;
let issuer: CredentialIssuer;
let cwd: string;

beforeAll(async () => {
  cli = await buildTestCli();
  issuer = await startCredentialIssuer();
  const rotation = issuer.rotation.address;
  cwd = cli.configured({ rotation, catalog: rotation, token: await issuer.token("github/alice") });
});
afterAll(async () => {
  await issuer.stop();
  cli.remove();
});

const murmur = (...words: string[]): Promise<CliRun> => cli.run(words, { cwd });
const json = async (...words: string[]) => {
  const { code, stdout, stderr } = await murmur(...words, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Record<string, unknown>;
};
const create = async () => {
  const { id, value } = await json("keys", "create", "ci");
  return { id: String(id), value: String(value) };
};
const isValid = async (value: unknown) =>
  (await issuer.verifier().verifyCredential({ value: String(value) })).valid;

describe("murmur keys", () => {
  it("create prints the value alone on standard output, and says that it is shown once", async () => {
    const { code, stdout, stderr } = await murmur("keys", "create", "ci", "--expires", "30d");
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(KEY) as string });
    expect(stderr).toMatch(/^Created API key [0-9a-f-]{36}; ends: in (29|30) days\.\n/);
    expect(stderr).toContain("It is shown once: save it now.\n");
    expect(await isValid(stdout.trim())).toBe(true);
  });

  it("keeps label, scopes and expiry, and shows them without the value", async () => {
    const scope = ["--scope", "GET /v1/secrets*", "--scope", "POST /v1/keys"];
    const made = await json("keys", "create", "it's", ...scope, "--expires", "2999-01-31T00:00Z");
    const { value, ...kept } = made;
    expect(kept).toMatchObject({
      ...{ label: "it's", scopes: ["GET /v1/secrets*", "POST /v1/keys"], state: "active" },
      ...{ expires_at: "2999-01-31T00:00:00.000Z", owner: "github/alice" },
    });
    expect(await json("keys", "show", String(made["id"]))).toEqual(kept);
    const { stdout } = await murmur("keys", "show", String(made["id"]));
    expect(stdout).toContain(`${String(made["prefix"])}…`);
    expect(stdout).not.toContain(String(value));
  });

  it("rotate replaces it and says until when both are valid", async () => {
    const { id, value } = await create();
    const { code, stdout, stderr } = await murmur("keys", "rotate", id, "--grace", "1h");
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(KEY) as string });
    expect(stderr).toMatch(
      /^Rotated API key \S+; the new one is \S+\.\nThe old one stays valid beside it until \d{4}-\d\d-\d\dT[\d:.]+Z\.\nThe new one is shown/,
    );
    expect([await isValid(value), await isValid(stdout.trim())]).toEqual([true, true]);
    const { stdout: list } = await murmur("keys", "ls");
    expect(list.split("\n").find((line) => line.includes(id))).toContain("in grace");
  });

  it("rotate with grace 0 ends the old one at once", async () => {
    const { id, value } = await create();
    const rotated = await json("keys", "rotate", id, "--grace", "0");
    expect(rotated).toMatchObject({ replaces: id, replaced: { id, state: "revoked" } });
    expect([await isValid(value), await isValid(rotated["value"])]).toEqual([false, true]);
  });

  it.each([[[]], [["--grace", "2h"]], [["--grace", "3600"]]])(
    "rotate %j lists the periods, with exit status 2",
    async (words) => {
      const { id, value } = await create();
      const { code, stdout, stderr } = await murmur("keys", "rotate", id, ...words);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain(`--grace must be one of ${PERIODS}\n`);
      expect(await isValid(value)).toBe(true);
    },
  );

  it("revoke ends it, at once or at a time", async () => {
    const [now, later] = [await create(), await create()];
    expect(await murmur("keys", "revoke", now.id)).toMatchObject({
      ...{ code: 0, stdout: `Revoked API key ${now.id}\n` },
    });
    expect(await json("keys", "revoke", now.id)).toMatchObject({ id: now.id, state: "revoked" });
    const { stdout } = await murmur("keys", "revoke", later.id, "--at", "24h");
    expect(stdout).toMatch(new RegExp(`^API key ${later.id} ends in (23 hours|1 day)\n$`));
    expect([await isValid(now.value), await isValid(later.value)]).toEqual([false, true]);
  });

  it("ls leaves out what has ended, unless asked for all", async () => {
    const { id } = await create();
    await murmur("keys", "revoke", id);
    expect((await murmur("keys", "ls")).stdout).not.toContain(id);
    expect((await murmur("keys", "ls", "-a")).stdout).toContain(id);
  });

  it.each(["show", "revoke", "rotate"])(
    "%s does not show a value that stands for an id",
    async (word) => {
      const { value } = await create();
      const more = word === "rotate" ? ["--grace", "0"] : [];
      const { code, stdout, stderr } = await murmur("keys", word, value, ...more);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain(
        "credential_id must be an id, as lists show it, and never a value\n",
      );
      expect(stderr).not.toContain(value.slice(12));
      expect(await isValid(value)).toBe(true);
    },
  );

  it("are no agent tokens: the other command is named", async () => {
    const { id, value } = await create();
    for (const words of [
      ["show", id],
      ["revoke", id],
      ["rotate", id, "--grace", "0"],
    ])
      expect(await murmur("tokens", ...words)).toMatchObject({
        ...{ code: 1, stdout: "" },
        stderr: expect.stringContaining(
          "is no agent token but an API key\nUse murmur keys.\n",
        ) as string,
      });
    expect(await isValid(value)).toBe(true);
  });

  it("that is not there is an error with a hint", async () => {
    const id = randomUUID();
    expect(await murmur("keys", "show", id)).toEqual({
      ...{ code: 1, stdout: "" },
      stderr: expect.stringMatching(
        new RegExp(`^murmur: keys show ${id}: NOT_FOUND: no API key or agent token "${id}"\n`),
      ) as string,
    });
  });
});

it("murmur auth takes an API key, and what follows is done with it", async () => {
  const { stdout: key } = await murmur("keys", "create", "laptop");
  const rotation = issuer.rotation.address;
  const place = cli.configured({ rotation, catalog: rotation });
  const input = key;
  expect(await cli.run(["auth"], { cwd: place, input })).toMatchObject({
    ...{ code: 0, stdout: "Authenticated as github/alice (owner) in tenant t1\n" },
    stderr: expect.stringMatching(/^Token never expires; kept in /) as string,
  });
  expect(await cli.run(["auth", "token"], { cwd: place })).toMatchObject({ stdout: key });
  expect((await cli.run(["keys", "ls"], { cwd: place })).stdout).toContain("laptop");
});

describe("murmur auth with an API key", () => {
  const place = () => {
    const rotation = issuer.rotation.address;
    return cli.configured({ rotation, catalog: rotation });
  };
  const DONE = { code: 0, stdout: "Authenticated as github/alice (owner) in tenant t1\n" };

  it("reads it from standard input, or MURMUR_API_KEY, and says which it is", async () => {
    const { value } = await create();
    const words = ["auth", "--api-key", "-"];
    expect(await cli.run(words, { cwd: place(), input: `${value}\n` })).toMatchObject(DONE);
    const [cwd, env] = [place(), { MURMUR_API_KEY: value }];
    expect(await cli.run(["auth"], { cwd, env, input: "not read" })).toMatchObject(DONE);
    expect((await cli.run(["auth", "status"], { cwd })).stdout).toContain(
      `by:        API key ${value.slice(0, 12)}…, never expires\n`,
    );
    const { stdout } = await cli.run(["auth", "status", "--json"], { cwd });
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ developer: "github/alice", role: "owner", tenant: "t1", by: "api-key" },
    });
    expect(stdout).not.toContain(value.slice(12));
  });

  it("takes none from the command line, and does not show it again", async () => {
    const { value } = await create();
    const { code, stderr } = await cli.run(["auth", "--api-key", value], { cwd: place() });
    expect(code).toBe(2);
    expect(stderr).toContain("--api-key takes - alone");
    expect(stderr).not.toContain(value.slice(12));
  });

  it("takes no identity token for one", async () => {
    const input = await issuer.token("github/alice");
    const { code, stderr } = await cli.run(["auth", "--api-key", "-"], { cwd: place(), input });
    expect({ code, stderr }).toEqual({ code: 1, stderr: "murmur: auth: that is no API key\n" });
  });

  it("is told from where it comes once", async () => {
    const { code, stderr } = await cli.run(["auth", "--login", "--api-key", "-"], { cwd: place() });
    expect(code).toBe(2);
    expect(stderr).toContain("--login and --api-key exclude each other\n");
  });
});

describe("murmur tokens", () => {
  it("are made for an agent, listed by it, and rotated", async () => {
    const { id, value } = await json("tokens", "create", "my-coder", "--label", "night shift");
    expect(value).toMatch(/^mur_agt_/);
    const { stdout } = await murmur("tokens", "ls");
    expect(stdout.split("\n").find((line) => line.includes(String(id)))).toMatch(
      /my-coder +night shift +mur_agt_....… +active +never +never +github\/alice/,
    );
    const rotated = await json("tokens", "rotate", String(id), "--grace", "15m");
    expect(rotated).toMatchObject({ agent_name: "my-coder", label: "night shift", replaces: id });
    expect(await json("keys", "ls")).not.toContainEqual(expect.objectContaining({ id }));
  });
});
