import { mkdtempSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import {
  buildTestCli,
  type CliCall,
  type CliRun,
  type TestCli,
} from "../../test/harness/murmur-cli";

interface Question {
  method: string;
  params: Record<string, unknown>;
}

const AGENT = {
  agent_id: "7a",
  workspace: "backend",
  path: "fix-auth/tests",
  phase: "running",
  vm: "build-1",
  desired_generation: "2",
  applied_generation: "2",
  created_at: new Date().toISOString(),
};

let cli: TestCli;
let daemon: Server;
let socket: string;
let asked: Question[];
/** What the daemon answers: a line, or undefined to hang up. */
let answer: (question: Question) => string | undefined;

beforeAll(async () => {
  cli = await buildTestCli();
});
afterAll(() => {
  cli.remove();
});
beforeEach(async () => {
  asked = [];
  socket = join(mkdtempSync(join(cli.directory, "vm-")), "agent.sock");
  daemon = createServer((connection) => {
    connection.on("error", () => undefined);
    connection.setEncoding("utf8").on("data", (line: string) => {
      const question = JSON.parse(line) as Question;
      asked.push(question);
      const text = answer(question);
      if (text === undefined) connection.destroy();
      else connection.write(`${text}\n`);
    });
  });
  await new Promise<void>((resolve) => daemon.listen(socket, resolve));
});
afterEach(() => new Promise((resolve) => daemon.close(resolve)));

const result = (value: object) => () => JSON.stringify({ id: "1", result: value });
const murmur = (words: string, call: CliCall = {}): Promise<CliRun> =>
  cli.run(words.split(" "), {
    ...call,
    env: {
      MURMUR_AGENT: "fix-auth",
      MURMUR_WORKSPACE: "backend",
      MURMUR_SOCKET: socket,
      ...call.env,
    },
  });

describe("on a VM", () => {
  it("spawn makes a child of the caller, through the daemon", async () => {
    answer = result({ agent_id: "7a", path: "fix-auth/tests", warnings: ["no NPM_TOKEN"] });
    const run = await murmur("spawn -e A=1=2 --workspace backend tests -- make check");
    expect(run).toEqual({
      code: 0,
      stdout: 'Spawned agent "fix-auth/tests"\n',
      stderr: "warning: no NPM_TOKEN\n",
    });
    expect(asked).toMatchObject([
      {
        method: "spawn-child",
        params: { slug: "tests", argv: ["make", "check"], env: { A: "1=2" } },
      },
    ]);
  });

  it("spawn goes nowhere else", async () => {
    expect((await murmur("spawn --vm build-2 tests -- make")).code).toBe(2);
    expect((await murmur("spawn --workspace other tests -- make")).code).toBe(2);
    expect(asked).toEqual([]);
  });

  it("adopt makes a process a child of the caller, and says what it can use", async () => {
    const adoption = {
      ...{ pid: 7, name: "make", started_at: new Date().toISOString(), directory: "/run/x" },
      ...{ can_use: ["files: /run/x/env"], cannot_use: ["environment: it stays"] },
    };
    answer = ({ method }) =>
      JSON.stringify({
        id: "1",
        result:
          method === "status"
            ? { agent: { ...AGENT, adoption } }
            : { agent_id: "7a", path: "fix-auth/tests", warnings: [] },
      });
    expect((await murmur("adopt --pid 7 -e A=1 tests")).stdout).toBe(
      'Adopted pid 7 (make, started just now) as agent "fix-auth/tests" on VM "build-1"\n' +
        "It can use\n  files: /run/x/env\nIt cannot use\n  environment: it stays\n",
    );
    expect(asked).toEqual([
      { id: "1", method: "adopt-child", params: { slug: "tests", pid: 7, env: { A: "1" } } },
      { id: "1", method: "status", params: { path: "fix-auth/tests" } },
    ]);
    expect((await murmur("adopt --vm build-2 --pid 7 tests")).code).toBe(2);
  });

  it("ls, status and kill ask the daemon", async () => {
    answer = result({ agents: [AGENT] });
    expect((await murmur("ls -q")).stdout).toBe("fix-auth/tests\n");
    expect((await murmur("kill fix-auth/tests")).stdout).toBe('Killed agent "fix-auth/tests"\n');
    expect((await murmur("kill tests")).stderr).toBe("");
    answer = result({
      agent: AGENT,
      descendants: [],
      processes: [{ pid: 7, parent_pid: 1, name: "make" }],
      reported_at: new Date().toISOString(),
    });
    expect((await murmur("status fix-auth/tests")).stdout).toMatch(/generation {2}2\n[^]*7 .*make/);
    expect(asked.map(({ method }) => method)).toEqual(["list", "kill", "kill", "status"]);
    expect(asked.map(({ params }) => params)).toEqual([
      { include_ended: false },
      { path: "fix-auth/tests" },
      { path: "tests" },
      { path: "fix-auth/tests" },
    ]);
  });

  it("prints the daemon's refusal as any other", async () => {
    const error = { code: "NOT_FOUND", reason: "AGENT_NOT_FOUND", message: 'no agent "x"' };
    answer = () => JSON.stringify({ id: "1", error });
    expect(await murmur("kill x")).toEqual({
      code: 1,
      stdout: "",
      stderr:
        'murmur: kill x: NOT_FOUND: no agent "x"\n' +
        "Check the slug spelling. Use murmur ls to see running agents.\n",
    });
  });

  it("says so when the daemon is away, hangs up, or talks nonsense", async () => {
    const expected = { code: 1, stderr: expect.stringContaining("UNAVAILABLE: ") as string };
    expect(await murmur("ls", { env: { MURMUR_SOCKET: `${socket}.no` } })).toMatchObject(expected);
    answer = () => undefined;
    expect(await murmur("ls")).toMatchObject(expected);
    for (const text of ["nonsense", "[]", '{"id": "1"}', "null"]) {
      answer = () => text;
      expect(await murmur("ls")).toMatchObject(expected);
    }
    expect((await murmur("ls", { env: { MURMUR_SOCKET: "" } })).stderr).toContain(
      "MURMUR_SOCKET is not set",
    );
  });
});
