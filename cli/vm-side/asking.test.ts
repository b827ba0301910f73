import { mkdtempSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import {
  buildTestCli,
  type CliCall,
  type CliRun,
  type TestCli,
} from "../../test/harness/murmur-cli";

let cli: TestCli;
let daemon: Server;
let socket: string;
/** The set of the agent that asks. */
let values: Record<string, string | Buffer>;
let settings: { git: object; docker: object };
/** Instead of any answer. */
let refusal: object | undefined;

beforeAll(async () => {
  cli = await buildTestCli();
});
afterAll(() => {
  cli.remove();
});
beforeEach(async () => {
  values = {};
  settings = { git: {}, docker: {} };
  refusal = undefined;
  socket = join(mkdtempSync(join(cli.directory, "vm-")), "agent.sock");
  daemon = createServer((connection) => {
    connection.on("error", () => undefined);
    connection.setEncoding("utf8").on("data", (line: string) => {
      connection.write(`${JSON.stringify({ id: "1", ...answer(line) })}\n`);
    });
  });
  await new Promise<void>((resolve) => daemon.listen(socket, resolve));
});
afterEach(() => new Promise((resolve) => daemon.close(resolve)));

function answer(line: string): object {
  const { method, params } = JSON.parse(line) as { method: string; params: { names: string[] } };
  if (refusal) return { error: refusal };
  if (method === "get-settings") return { result: settings };
  const known = params.names.filter((name) => name in values);
  const encoded = known.map((name) => [name, Buffer.from(values[name]!).toString("base64")]);
  return { result: { generation: "1", values: Object.fromEntries(encoded) as object } };
}

const murmur = (words: string, call: CliCall = {}): Promise<CliRun> =>
  cli.run(words.split(" "), { ...call, env: { MURMUR_AGENT: "a", MURMUR_SOCKET: socket } });

describe("murmur env get", () => {
  it("prints the value as it is, without a newline", async () => {
    values = { TOKEN: "a'\n$é\n\n" };
    expect(await murmur("env get TOKEN")).toEqual({ code: 0, stdout: "a'\n$é\n\n", stderr: "" });
  });

  it("adds a newline on a terminal", async () => {
    values = { TOKEN: "abc" };
    const env = { MURMUR_AGENT: "a", MURMUR_SOCKET: socket };
    const { stdout } = await cli.runOnTerminal(["env", "get", "TOKEN"], { env });
    expect(stdout).toBe("abc\r\n");
  });

  it("exits 1 and says so when the agent has no such name", async () => {
    expect(await murmur("env get NO")).toEqual({
      code: 1,
      stdout: "",
      stderr:
        'murmur: env get NO: NOT_FOUND: no "NO" in this agent\'s environment\n' +
        "Check the spelling. A secret that was added later comes with the next murmur rekey.\n",
    });
  });

  it("says who may ask when it is refused, and where it works when there is no socket", async () => {
    refusal = { code: "PERMISSION_DENIED", reason: "PERMISSION_DENIED", message: "no" };
    expect((await murmur("env get X")).stderr).toBe(
      "murmur: env get X: PERMISSION_DENIED: no\n" +
        "Only processes that an agent started, as its user, may ask.\n",
    );
    expect(await cli.run(["env", "get", "X"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("MURMUR_SOCKET is not set") as string,
    });
  });
});

describe("git's helper", () => {
  const get = (asked: string) => murmur("credential git get", { input: `${asked}\n\n` });
  const GITHUB = "protocol=https\nhost=github.com";

  it("knows GitHub by the usual names", async () => {
    values = { GITHUB_TOKEN: "two" };
    expect((await get(GITHUB)).stdout).toBe("username=x-access-token\npassword=two\n");
    values = { GITHUB_TOKEN: "two", GH_TOKEN: "one" };
    expect((await get(`capability[]=authtype\n${GITHUB}\nwwwauth[]=Basic a=b`)).stdout).toBe(
      "username=x-access-token\npassword=one\n",
    );
    expect((await get(`${GITHUB}\nusername=me`)).stdout).toBe("username=me\npassword=one\n");
  });

  it("takes what was said at the spawn before what is usual", async () => {
    values = { GH_TOKEN: "one", MINE: "mine" };
    settings.git = { "github.com": { username: "bot", password_secret: "MINE" } };
    expect((await get(GITHUB)).stdout).toBe("username=bot\npassword=mine\n");
    expect((await get(`${GITHUB}\nusername=bot`)).stdout).toBe("username=bot\npassword=mine\n");
    expect((await get(`${GITHUB}\nusername=other`)).stdout).toBe("");
  });

  it("sends no token in the clear unless the host was named so", async () => {
    values = { GH_TOKEN: "one" };
    const HTTP = "protocol=http\nhost=127.0.0.1:8080";
    settings.git = { "127.0.0.1:8080": { password_secret: "GH_TOKEN" } };
    expect((await get("protocol=http\nhost=github.com")).stdout).toBe("");
    expect((await get(HTTP)).stdout).toBe("");
    settings.git = { "http://127.0.0.1:8080": { password_secret: "GH_TOKEN" } };
    expect((await get(HTTP)).stdout).toBe("username=x-access-token\npassword=one\n");
  });

  it("is silent, with exit status 0, about hosts and operations that are not for it", async () => {
    const silent = { code: 0, stdout: "", stderr: "" };
    values = { GH_TOKEN: "one" };
    expect(await get("protocol=https\nhost=example.com")).toEqual(silent);
    expect(await get("protocol=https\nhost=gitlab.com")).toEqual(silent);
    expect(await get("protocol=ssh\nhost=github.com")).toEqual(silent);
    for (const operation of ["store", "erase", "of-a-later-git"])
      expect(await murmur(`credential git ${operation}`, { input: GITHUB })).toEqual(silent);
  });

  it("refuses a secret that would add lines to its answer, without printing it", async () => {
    values = { GH_TOKEN: "one\nhost=evil" };
    const { code, stdout, stderr } = await get(GITHUB);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).not.toContain("evil");
  });
});

describe("the credential_process of AWS", () => {
  it("gives the keys, for a time so short that programs ask again", async () => {
    values = { AWS_ACCESS_KEY_ID: "AKIA", AWS_SECRET_ACCESS_KEY: 's"/+' };
    const { stdout } = await murmur("credential aws");
    const { Expiration, ...keys } = JSON.parse(stdout) as Record<string, string>;
    expect(keys).toEqual({ Version: 1, AccessKeyId: "AKIA", SecretAccessKey: 's"/+' });
    const lifeMs = Date.parse(Expiration!) - Date.now();
    expect(lifeMs).toBeGreaterThan(0);
    expect(lifeMs).toBeLessThanOrEqual(60_000);
  });

  it("takes those of a prefix, with their session token, or says which is missing", async () => {
    values = { D_AWS_ACCESS_KEY_ID: "1", D_AWS_SECRET_ACCESS_KEY: "2", D_AWS_SESSION_TOKEN: "3" };
    const { stdout } = await murmur("credential aws --prefix D_");
    expect(JSON.parse(stdout)).toMatchObject({ AccessKeyId: "1", SessionToken: "3" });
    expect(await murmur("credential aws")).toEqual({
      code: 1,
      stdout: "",
      stderr: "murmur: credential aws: this agent has no AWS_ACCESS_KEY_ID\n",
    });
  });
});

describe("docker's helper", () => {
  /** As docker runs it: by its name. */
  function helper(operation: string, input = ""): Promise<CliRun> {
    const name = join(mkdtempSync(join(cli.directory, "bin-")), "docker-credential-murmur");
    symlinkSync(cli.file, name);
    const env = { MURMUR_AGENT: "a", MURMUR_SOCKET: socket };
    return cli.run([operation], { input, env, program: name });
  }

  it("logs in where it was said and where it is usual", async () => {
    values = { GH_TOKEN: "gh", HUB: 'h"ub' };
    settings.docker = { "docker.io": { username: "acme", password_secret: "HUB" } };
    expect(JSON.parse((await helper("get", "ghcr.io\n")).stdout)).toEqual({
      ...{ ServerURL: "ghcr.io", Username: "x-access-token", Secret: "gh" },
    });
    const hub = "https://index.docker.io/v1/";
    expect(JSON.parse((await helper("get", hub)).stdout)).toEqual({
      ...{ ServerURL: hub, Username: "acme", Secret: 'h"ub' },
    });
    expect(JSON.parse((await helper("list")).stdout)).toEqual({
      ...{ "docker.io": "acme", "ghcr.io": "x-access-token" },
    });
  });

  it("says in docker's own words that it knows nothing, so that docker goes on", async () => {
    const expected = { code: 1, stdout: "credentials not found in native keychain\n" };
    expect(await helper("get", "quay.io")).toMatchObject(expected);
    expect(await helper("get", "ghcr.io")).toMatchObject(expected);
  });

  it("keeps no login, says so, and forgets none", async () => {
    const login = JSON.stringify({ ServerURL: "quay.io", Username: "u", Secret: "hunter2" });
    const { code, stdout, stderr } = await helper("store", login);
    expect(code).toBe(1);
    expect(stdout).toContain("murmur keeps no logins");
    expect(stdout + stderr).not.toContain("hunter2");
    expect(await helper("erase", "quay.io")).toEqual({ code: 0, stdout: "", stderr: "" });
  });
});

it("an API key is printed alone", async () => {
  values = { ANTHROPIC_API_KEY: "sk-1", OTHER: "sk-2" };
  expect(await murmur("credential api-key")).toEqual({ code: 0, stdout: "sk-1", stderr: "" });
  expect((await murmur("credential api-key OTHER")).stdout).toBe("sk-2");
  expect((await murmur("credential api-key NONE")).code).toBe(1);
});
