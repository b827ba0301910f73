import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentWorker, spawnWorker } from "../harness/agent-worker";
import { eventually } from "../harness/eventually";
import { type GitServer, startGitServer } from "../harness/git-server";
import { startTestStack, type TestStack } from "../harness/stack";

const WAIT = { timeoutMs: 60_000 };

let stack: TestStack;
let git: GitServer;
let directory: string;
let work: string;
let murmur: string;
let worker: AgentWorker;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "murmur-asking-"));
  work = join(directory, "work");
  mkdirSync(work);
  execFileSync("git", ["init", "-q", "--bare", join(directory, "repository.git")]);
  execFileSync("git", [
    "-C",
    join(directory, "repository.git"),
    "config",
    "http.receivepack",
    "true",
  ]);
  git = await startGitServer(directory, { username: "bot", password: "tok-1" });
  stack = await startTestStack();
  murmur = join(stack.place.root, "bin", "murmur");
  await secretOf("tok-1");
  const hook = `echo "$MURMUR_GENERATION $GIT_TOKEN $('${murmur}' env get GIT_TOKEN)" >>hook; echo $GIT_TOKEN; [ ! -e act ] || . ./act`;
  writeFileSync(
    join(work, "murmur.yaml"),
    JSON.stringify({
      git: { [`http://${git.host}`]: { username: "bot", password_secret: "GIT_TOKEN" } },
      agents: { asking: { reload: { hook: ["sh", "-c", hook] } } },
    }),
  );
  worker = await spawnWorker(stack, "asking", work);
}, 360_000);

afterAll(async () => {
  await stack.stop();
  await git.stop();
  rmSync(directory, { recursive: true, force: true });
}, 360_000);

const secretOf = (value: string) =>
  stack.murmur.run(["secret", "set", "GIT_TOKEN"], value).then(() => undefined);

const inAgent = (script: string) => worker.run(script);

const PUSH = () => `
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
[ -d clone ] || { git init -q clone && git -C clone remote add origin http://${git.host}/repository.git; }
git -C clone -c user.name=a -c user.email=a@b commit -q --allow-empty -m x &&
git -C clone -c credential.helper= -c credential.helper="!'${murmur}' credential git" push -q origin HEAD:main
`;
const pushed = () =>
  Number(
    execFileSync("git", ["-C", join(directory, "repository.git"), "rev-list", "--count", "main"], {
      encoding: "utf8",
    }),
  );

test("git pushes with the token of the moment, before and after a rekey, from one process", async () => {
  const pid = worker.pid();
  expect(await inAgent(PUSH())).toEqual({ status: 0, output: "" });
  expect(pushed()).toBe(1);

  git.login = { username: "bot", password: "tok-2" };
  const refused = await inAgent(PUSH());
  expect(refused.status).not.toBe(0);
  expect(refused.output).not.toContain("tok-");

  await secretOf("tok-2");
  await stack.rekey("asking");
  await stack.applied("asking", 2n);
  expect(await inAgent(PUSH())).toEqual({ status: 0, output: "" });
  expect(pushed()).toBe(3);
  expect(await inAgent(`'${murmur}' env get GIT_TOKEN`)).toEqual({ status: 0, output: "tok-2" });
  expect(worker.pid()).toBe(pid);
}, 360_000);

test("its hook ran once for what changed, with the new value, and may ask, too", async () => {
  const hook = () => readFileSync(join(work, "hook"), "utf8").trim().split("\n");
  await eventually(() => expect(hook()).toEqual(["2 tok-2 tok-2"]), WAIT);
  await eventually(async () => {
    expect((await stack.murmur.run(["status", "asking"])).stdout).toMatch(
      /reload +done for generation 2/,
    );
  }, WAIT);

  // Changes nothing.
  await stack.rekey("asking");
  await stack.applied("asking", 3n);

  act("exit 3");
  await secretOf("tok-4");
  expect(await rekeyForProcesses()).toMatchObject({ code: 1, stdout: "" });
  expect((await stack.murmur.run(["status", "asking"])).stdout).toMatch(
    /reload +failed for generation 4: hook: exit 3/,
  );
  // The set stands all the same.
  await stack.applied("asking", 4n);
  expect((await inAgent(`'${murmur}' env get GIT_TOKEN`)).output).toBe("tok-4");
  expect(hook()).toEqual(["2 tok-2 tok-2", "4 tok-4 tok-4"]);
}, 360_000);

const act = (script: string) => {
  writeFileSync(join(work, "act"), script);
};
const rekeyForProcesses = () =>
  stack.murmur.tryRun(["rekey", "--wait", "processes", "--timeout", "50s", "asking"]);

test.each([
  ["fails", "exit 3", "hook: exit 3"],
  [
    "hangs, deaf to SIGTERM",
    "trap '' TERM; while :; do sleep 1; done",
    "hook: timed out after 10 s",
  ],
  ["floods its output", "head -c 3000000 /dev/zero | tr '\\0' x; exit 4", "hook: exit 4"],
  ["kills its parent", "kill -9 $PPID; exit 5", /hook: (exit \d+|ended by SIGKILL)/],
])(
  "a hook that %s is named by the rekey that waits for it, and blocks nothing",
  async (_, script, reason) => {
    const daemon = stack.pidOf("vm-agent-1");
    const pid = worker.pid();
    const before = (await stack.agent("asking")).desiredGeneration;
    act(script);
    const value = `tok-${before}-${Math.random().toString(36).slice(2)}`;
    await secretOf(value);
    const { code, stdout, stderr } = await rekeyForProcesses();
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(`warning: asking: reload failed for generation ${before + 1n}: hook: `);
    expect(stderr).toMatch(reason);
    expect(stderr).toContain("murmur: rekey asking: the reload of asking failed\n");
    expect((await inAgent(`'${murmur}' env get GIT_TOKEN`)).output).toBe(value);

    act("");
    await secretOf(`${value}-2`);
    await stack.rekey("asking");
    await eventually(
      () => expect(readFileSync(join(work, "hook"), "utf8")).toMatch(`${value}-2 ${value}-2\n`),
      WAIT,
    );
    expect(stack.pidOf("vm-agent-1")).toBe(daemon);
    expect(worker.pid()).toBe(pid);
  },
  360_000,
);
