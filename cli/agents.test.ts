import { randomUUID } from "node:crypto";
import { type Bindings, hashesOf, newKey, startBindings } from "../test/harness/bindings";
import { buildTestCli, type CliCall, type CliRun, type TestCli } from "../test/harness/murmur-cli";
import { startTcpProxy, type TcpProxy } from "../test/harness/tcp-proxy";

let cli: TestCli;
let rig: Bindings;
let proxy: TcpProxy;
/** All that went between the command and the service. */
let traffic: Buffer[] = [];
let accounts = 0;

beforeAll(async () => {
  cli = await buildTestCli();
  rig = await startBindings();
  const port = Number(rig.rotation.address.split(":")[1]);
  proxy = await startTcpProxy({ host: "127.0.0.1", port }, (bytes) => traffic.push(bytes));
});
afterAll(async () => {
  await proxy.close();
  await rig.stop();
  cli.remove();
});
beforeEach(() => (traffic = []));

/** A developer at a terminal, with agents of their own. */
async function newDeveloper() {
  const id = `github/dev-${accounts++}`;
  const rotation = `127.0.0.1:${proxy.port}`;
  const cwd = cli.configured({ rotation, catalog: rotation, token: await rig.token(id) });
  const account = rig.account(id, "owner");
  return {
    id,
    account,
    has: (key: string, name = "") => rig.agentOf(account, key, name),
    murmur: (words: string[], call: CliCall = {}): Promise<CliRun> =>
      cli.run(words, { cwd, ...call }),
    atTerminal: (words: string[], call: CliCall): Promise<CliRun> =>
      cli.runOnTerminal(words, { cwd, ...call }),
    rebind: (words: string[], key: string): Promise<CliRun> =>
      cli.run(["agents", "rebind", ...words], { cwd, env: { MURMUR_NEW_KEY: key } }),
    check: (words: string[], key: string): Promise<CliRun> =>
      cli.run(["agents", "check-binding", ...words], { cwd, env: { MURMUR_CHECK_KEY: key } }),
  };
}
const observe = (key: string, name = "") => {
  const { hash, prefix } = hashesOf(key, name);
  return rig.proxy().observeKey({ agentHash: hash, name, keyPrefix: prefix });
};

describe("murmur agents rebind", () => {
  it("binds a named agent, says which variable to update and what the old key makes now", async () => {
    const { has, rebind, check } = await newDeveloper();
    const [old, key] = [newKey(), newKey()];
    await has(old, "my-coder");
    expect(await rebind(["my-coder"], key)).toEqual({
      ...{ code: 0, stdout: "Rebound agent my-coder\n" },
      stderr:
        "Update ANTHROPIC_API_KEY wherever the agent runs.\n" +
        "Requests under the old key now make a new, unclaimed agent.\n",
    });
    expect((await check(["my-coder"], key)).code).toBe(0);
    expect((await check(["my-coder"], old)).code).toBe(1);
    expect(await rebind(["my-coder"], key)).toMatchObject({
      ...{ code: 0, stdout: "Agent my-coder is bound to this key already\n" },
    });
  });

  it("asks for the key on a terminal and does not show it", async () => {
    const { has, atTerminal, check } = await newDeveloper();
    const key = newKey();
    const { agentId } = await has(newKey());
    const typed = { after: "New provider API key: ", keys: `${key}\r` };
    const { code, stdout } = await atTerminal(["agents", "rebind"], { typed });
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toContain(`Rebound agent ${agentId}`);
    expect(stdout).not.toContain(key.slice(0, 20));
    expect((await check([], key)).code).toBe(0);
  });

  it("prints JSON for machines", async () => {
    const { has, murmur } = await newDeveloper();
    const key = `AIza${"k".repeat(35)}`;
    const { agentId } = await has(newKey(), "my-coder");
    const words = ["agents", "rebind", "--agent-id", agentId, "--json"];
    const { code, stdout, stderr } = await murmur(words, { env: { MURMUR_NEW_KEY: key } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ success: true, changed: true, agent_id: agentId, name: "my-coder", rekey_count: 1 },
      ...{ key_prefix: "AIzakkkkkkkkkkkk", variable: "GOOGLE_API_KEY" },
      rekeyed_at: expect.stringMatching(/^\d{4}-/) as string,
    });
  });

  it("never lets the key out of the process: not by network, words or errors", async () => {
    const { has, rebind, check, murmur } = await newDeveloper();
    const key = newKey();
    const { agentId } = await has(newKey(), "my-coder");
    const runs = [
      await rebind(["my-coder"], key),
      await check(["my-coder"], key),
      await check(["my-coder"], `${key}x`),
      await rebind(["--agent-id", randomUUID()], key),
      await rebind(["my-coder"], `${key} `),
      await murmur(["agents", "rebind", key]),
      await murmur(["agents", "show", key]),
      await murmur(["agents", "claim", key]),
      await murmur(["agents", "rebind", "--agent-id", key]),
      await murmur(["agents", "rebindd", key]),
    ];
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 1, 1, 1, 2, 2, 2, 2, 2]);
    const sent = Buffer.concat(traffic);
    // What is meant to pass does: the proxy has seen it.
    expect(sent.includes(agentId)).toBe(true);
    expect(sent.includes(hashesOf(key, "my-coder").hash)).toBe(true);
    const rest = key.slice(16);
    for (const form of [rest, Buffer.from(rest).toString("base64").slice(4, -4)]) {
      expect(sent.includes(form)).toBe(false);
      expect(sent.includes(Buffer.from(form).toString("hex"))).toBe(false);
      for (const { stdout, stderr } of runs) expect(stdout + stderr).not.toContain(form);
    }
  });

  it("without a name takes the only unnamed agent, else lists the choices", async () => {
    const { has, rebind } = await newDeveloper();
    const named = await has(newKey(), "a");
    const choice = `  ${named.agentId}  a  ${named.keyPrefix}…\n`;
    expect(await rebind([], newKey())).toEqual({
      ...{ code: 2, stdout: "" },
      stderr: `murmur: agents rebind: none of your agents is unnamed\nName one of yours:\n${choice}`,
    });
    const first = await has(newKey());
    expect(await rebind([], newKey())).toMatchObject({
      ...{ code: 0, stdout: `Rebound agent ${first.agentId}\n` },
    });
    const second = await has(newKey());
    const { code, stderr } = await rebind([], newKey());
    expect(code).toBe(2);
    expect(stderr).toContain("several of your agents are unnamed\nName one with --agent-id:\n");
    for (const { agentId } of [first, second]) expect(stderr).toContain(agentId);
    expect(stderr).not.toContain(named.agentId);
  });

  it("of a name that is not there is an error, and never an unnamed agent", async () => {
    const { has, rebind, account } = await newDeveloper();
    const { agentId } = await has(newKey());
    const other = await newDeveloper();
    await other.has(newKey(), "theirs");
    for (const name of ["my-coder", "theirs"]) {
      const { code, stderr } = await rebind([name], newKey());
      expect(code).toBe(1);
      expect(stderr).toContain(`none of your agents is named "${name}"\nYours are:\n  ${agentId}`);
    }
    expect((await account.getBoundAgent({ agentId })).agent).toMatchObject({ rekeyCount: 0 });
  });

  it.each([
    ["nothing", "", "no key was given\nType it when asked, or set MURMUR_NEW_KEY.\n", 2],
    ["a line break", "abc\ndef", "the key in MURMUR_NEW_KEY has a space, a line break", 1],
  ])("refuses %s in place of a key", async (_what, key, message, status) => {
    const { has, rebind } = await newDeveloper();
    await has(newKey());
    const { code, stderr } = await rebind([], key);
    expect({ code, stderr }).toEqual({
      ...{ code: status, stderr: expect.stringContaining(message) as string },
    });
  });
});

describe("recovery from a shadow agent", () => {
  it("goes as the error says it", async () => {
    const { has, rebind, murmur, check } = await newDeveloper();
    const key = newKey();
    await has(newKey(), "my-coder");
    const { agentId: shadow } = await observe(key, "my-coder");
    const refused = await rebind(["my-coder"], key);
    expect({ code: refused.code, stdout: refused.stdout }).toEqual({ code: 1, stdout: "" });
    const [what, conflict, ...steps] = refused.stderr.split("\n");
    expect(what).toBe(
      "murmur: agents rebind my-coder: ALREADY_EXISTS: new key is already bound to another agent",
    );
    expect(conflict).toBe(`conflict_agent_id: ${shadow}`);
    const commands = steps.flatMap(
      (line) => /^ {2}\d\. (?:.*: )?murmur (.*)$/.exec(line)?.[1] ?? [],
    );
    expect(commands).toEqual([
      `agents show ${shadow}`,
      `agents deactivate ${shadow}`,
      "agents rebind my-coder",
    ]);
    const env = { MURMUR_NEW_KEY: key };
    const outputs = [];
    for (const command of commands) outputs.push(await murmur(command.split(" "), { env }));
    expect(outputs.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(outputs[0]?.stdout).toMatch(/^owner: +unclaimed\n[^]*^history: +0 traces, /m);
    expect(outputs[1]?.stdout).toBe("Deactivated agent my-coder\n");
    expect(outputs[2]?.stdout).toBe("Rebound agent my-coder\n");
    const { stdout } = await murmur(["agents", "show", "my-coder"]);
    expect(stdout).toMatch(/^rekeyed: +.+ \(once\)$/m);
    expect((await check(["my-coder"], key)).code).toBe(0);
    expect(Buffer.concat(traffic).includes(key.slice(16))).toBe(false);
  });

  it("keeps an agent that has history, which can be claimed instead", async () => {
    const { murmur } = await newDeveloper();
    const key = newKey();
    const { agentId } = await observe(key, "my-coder");
    const history = { traces: 2n, scores: 0n, trustEdges: 0n };
    await rig.proxy().recordHistory({ agentId, history });
    const env = { MURMUR_CHECK_KEY: key };
    const refused = await murmur(["agents", "deactivate", agentId], { env });
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        "FAILED_PRECONDITION: the agent is unclaimed and has",
      ) as string,
    });
    expect(await murmur(["agents", "claim", agentId], { env })).toEqual({
      ...{ code: 0, stdout: "Claimed agent my-coder\n", stderr: "" },
    });
    const wrong = { MURMUR_CHECK_KEY: newKey() };
    const other = (await newDeveloper()).murmur(["agents", "claim", agentId], { env: wrong });
    expect((await other).code).toBe(1);
    expect((await murmur(["agents", "deactivate", "my-coder"])).stdout).toBe(
      "Deactivated agent my-coder\n",
    );
  });

  it("names no agent of another account", async () => {
    const [mine, theirs] = [await newDeveloper(), await newDeveloper()];
    const key = newKey();
    const { agentId } = await theirs.has(key);
    await mine.has(newKey());
    const { code, stderr } = await mine.rebind([], key);
    expect(code).toBe(1);
    expect(stderr).toContain("That agent is claimed by another account");
    expect(stderr).not.toContain(agentId);
    expect(Buffer.concat(traffic).includes(agentId)).toBe(false);
  });
});

describe("murmur agents check-binding", () => {
  it("prints the prefix and exits 0 when bound, 1 when not", async () => {
    const { has, check, murmur } = await newDeveloper();
    const key = newKey();
    const { agentId } = await has(key, "my-coder");
    const prefix = `${key.slice(0, 16)}…`;
    expect(await check(["my-coder"], key)).toEqual({
      ...{ code: 0, stdout: `Bound: agent my-coder has this key (${prefix})\n`, stderr: "" },
    });
    const { code, stdout, stderr } = await check(["my-coder"], newKey());
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(`not bound: agent my-coder has another key (${prefix})\n`);
    const json = await murmur(["agents", "check-binding", "--agent-id", agentId, "--json"], {
      input: `${newKey()}\n`,
    });
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toEqual({
      ...{ agent_id: agentId, name: "my-coder", bound: false, key_prefix: key.slice(0, 16) },
    });
  });
});

it("a shell completes the names of one's own agents", async () => {
  const { has, murmur } = await newDeveloper();
  await has(newKey(), "my-coder");
  await has(newKey());
  await observe(newKey(), "my-other");
  for (const command of ["rebind", "check-binding", "show", "deactivate"])
    expect(await murmur(["__complete", "agents", command, "my-"])).toEqual({
      ...{ code: 0, stdout: "my-coder\n", stderr: "" },
    });
});

describe("murmur agents ls", () => {
  it("shows one's own with the prefix of their keys, unclaimed ones and everybody's on demand", async () => {
    const { has, murmur, id } = await newDeveloper();
    const key = newKey();
    const { agentId } = await has(key, "my-coder");
    const { agentId: shadow } = await observe(newKey(), "nobodys");
    const { stdout } = await murmur(["agents", "ls"]);
    const [, line, ...more] = stdout.trimEnd().split("\n");
    expect(more).toEqual([]);
    expect(line).toBe(`${agentId}  my-coder  ${key.slice(0, 16)}…  active  never    ${id}`);
    expect((await murmur(["agents", "ls", "--unclaimed"])).stdout).toContain(shadow);
    const all = JSON.parse((await murmur(["agents", "ls", "--everybody", "--json"])).stdout) as {
      agent_id: string;
    }[];
    expect(all.slice(0, 2).map((it) => it.agent_id)).toEqual([shadow, agentId]);
    expect(await murmur(["agents", "ls", "--everybody", "--unclaimed"])).toMatchObject({ code: 2 });
  });
});
