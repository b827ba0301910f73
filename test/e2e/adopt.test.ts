import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentPhase } from "../../gen/murmur/rotation/v1/agents";
import { isAlive, type ProcessIdentity, readProcess } from "../../services/vm-agent/linux/proc";
import { createStrangers, type Strangers } from "../../services/vm-agent/processes/test-strangers";
import { eventually } from "../harness/eventually";
import { startTestStack, type TestStack } from "../harness/stack";

const WAIT = { timeoutMs: 60_000 };
/**
 * A plain loop that knows nothing of Murmur: reads its token from a file on SIGHUP, and runs what it
 * finds. Beside it, in its session and group, stands one that is no child of it.
 */
const LOOP = `
echo $$ >NAME.pid
trap '[ -e file ] && . "$(cat file)" && echo "$TOKEN" >>NAME.told' HUP
sleep 100000 & echo $! >NAME.child
while :; do
  if [ -e NAME.job ]; then mv NAME.job NAME.now; sh NAME.now >NAME.out 2>&1; echo $? >NAME.status; fi
  if [ -e NAME.background ]; then mv NAME.background NAME.live; sh NAME.live >/dev/null 2>&1 & fi
  sleep 0.05
done
`;

let stack: TestStack;
let strangers: Strangers;
let directory: string;
let murmur: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "murmur-adopt-"));
  strangers = createStrangers();
  stack = await startTestStack();
  murmur = join(stack.place.root, "bin", "murmur");
  await setToken("tok-1");
  const hook = `echo "$MURMUR_GENERATION $TOKEN" >>hook`;
  writeFileSync(
    join(directory, "murmur.yaml"),
    JSON.stringify({
      reload: { signal: "SIGHUP" },
      agents: { hooked: { reload: { hook: ["sh", "-c", hook] } } },
    }),
  );
}, 360_000);
afterAll(async () => {
  strangers.end();
  await stack.stop();
  rmSync(directory, { recursive: true, force: true });
}, 360_000);

const setToken = (value: string) => stack.murmur.run(["secret", "set", "TOKEN"], value);
const at = (name: string) => join(directory, name);
const read = (name: string) => (existsSync(at(name)) ? readFileSync(at(name), "utf8") : "");

/** Starts the loop outside of everything; resolves when it runs. */
async function startLoop(name: string): Promise<{ main: ProcessIdentity; child: ProcessIdentity }> {
  writeFileSync(at(`${name}.sh`), LOOP.replaceAll("NAME", name));
  strangers.start(["bash", `${name}.sh`], { cwd: directory });
  return eventually(
    () => ({ main: strangers.from(at(`${name}.pid`)), child: strangers.from(at(`${name}.child`)) }),
    WAIT,
  );
}

/** What a developer types beside murmur.yaml. */
function adopt(slug: string, pid: number, ...more: string[]) {
  const args = ["adopt", "--vm", stack.vms[0]!.name, "--pid", String(pid), "--cwd", directory];
  const text = execFileSync(process.execPath, [murmur, ...args, "--json", ...more, slug], {
    cwd: directory,
    encoding: "utf8",
    env: { PATH: process.env["PATH"], MURMUR_CONFIG: stack.place.configFile },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { adoption } = JSON.parse(text) as {
    adoption: { directory: string; can_use: string[]; cannot_use: string[] };
  };
  return adoption;
}

/** Runs a script as a child of the loop; what it wrote. */
async function inside(name: string, script: string): Promise<string> {
  rmSync(at(`${name}.status`), { force: true });
  writeFileSync(at(`${name}.new`), script);
  execFileSync("mv", [at(`${name}.new`), at(`${name}.job`)]);
  await eventually(() => expect(read(`${name}.status`)).toBe("0\n"), WAIT);
  return read(`${name}.out`);
}

const phaseOf = async (path: string) => (await stack.agent(path)).phase;

test("a loop that was started elsewhere gets files, signals and the socket, and lives through all of it", async () => {
  const { main, child } = await startLoop("loop");
  const beside = await startLoop("beside");
  const adoption = adopt("loop", main.pid);
  expect(adoption.can_use).toContain("reload: SIGHUP after each change");
  expect(adoption.cannot_use[0]).toBe(
    `environment: what pid ${main.pid} was started with stays, and its children inherit that`,
  );
  expect(await phaseOf("loop")).toBe(AgentPhase.AGENT_PHASE_RUNNING);

  // Its program learns where its files are, as a person would tell it.
  writeFileSync(at("file"), join(adoption.directory, "env.sh"));
  expect(await inside("loop", `. "$(cat file)"; echo "$TOKEN"`)).toBe("tok-1\n");
  const socket = stack.vms[0]!.socket;
  const get = `MURMUR_SOCKET='${socket}' '${murmur}' env get TOKEN`;
  expect(await inside("loop", get)).toBe("tok-1");

  await setToken("tok-2");
  await stack.rekey("loop");
  await stack.applied("loop", 2n);
  await eventually(() => expect(read("loop.told")).toBe("tok-2\n"), WAIT);
  expect(await inside("loop", get)).toBe("tok-2");

  // The daemon dies without a word, and the next one knows all of it.
  await stack.kill("vm-agent-1");
  await setToken("tok-3");
  await stack.rekey("loop");
  await stack.applied("loop", 3n);
  await eventually(() => expect(read("loop.told")).toMatch(/^tok-2\n.*tok-3\n$/s), WAIT);
  await eventually(async () => {
    const { stdout } = await stack.murmur.run(["status", "loop"]);
    expect(stdout).toMatch(new RegExp(`adopted +pid ${main.pid} \\(bash, started`));
    expect(stdout).toContain(`pid ${main.pid} (bash) cannot be told`);
  }, WAIT);

  // What is started through murmur exec has the set, follows it and says so.
  const evidence = () =>
    stack.clients.agents
      .getAgent({ workspace: "demo", path: "loop" })
      .then(({ processes }) => processes.map(({ pid, layer }) => ({ pid, layer })));
  const follows = 'echo $$ >live; while :; do : "$TOKEN"; sleep 0.2; done';
  const exec = `MURMUR_RUN_DIR='${stack.vms[0]!.runDir}' exec '${murmur}' exec --agent loop`;
  writeFileSync(at("new"), `${exec} -- bash -c '${follows}'`);
  execFileSync("mv", [at("new"), at("loop.background")]);
  await eventually(async () => {
    const seen = await evidence();
    expect(seen).toContainEqual({ pid: main.pid, layer: "" });
    expect(seen.find(({ pid }) => pid === Number(read("live")))?.layer).toBe("bash");
  }, WAIT);

  await stack.murmur.run(["kill", "loop"]);
  await eventually(async () => {
    expect([main, child].filter(isAlive)).toEqual([]);
    expect(await phaseOf("loop")).toBe(AgentPhase.AGENT_PHASE_CANCELLED);
    expect(existsSync(adoption.directory)).toBe(false);
  }, WAIT);
  expect([beside.main, beside.child].every(isAlive)).toBe(true);
  expect(read("beside.told")).toBe("");
}, 360_000);

test("its hook runs for what changed, and its own end is seen", async () => {
  const { main, child } = await startLoop("hooked");
  expect(adopt("hooked", main.pid).can_use).toContain("reload: its hook runs after each change");
  await setToken("tok-hook");
  await stack.rekey("hooked");
  await eventually(() => expect(read("hook")).toBe("2 tok-hook\n"), WAIT);
  process.kill(main.pid, "SIGKILL");
  await eventually(async () => {
    const agent = await stack.agent("hooked");
    expect(agent.phase).toBe(AgentPhase.AGENT_PHASE_COMPLETED);
    expect(agent.exitStatus?.how).toEqual({
      $case: "unknown",
      value: "it was adopted, so its status is not known",
    });
  }, WAIT);
  // It was none of ours before, and is none now.
  expect(isAlive(child)).toBe(true);
}, 360_000);

test("an agent can take a process as its child, which ends with it", async () => {
  const { main } = await startLoop("orphan");
  const script = `'${murmur}' adopt --pid ${main.pid} kid >kid.out 2>&1; echo $? >kid.status; exec sleep 1000`;
  const { name } = stack.vms[0]!;
  const place = ["--vm", name, "--cwd", directory];
  await stack.murmur.run(["spawn", ...place, "parent", "--", "bash", "-c", script]);
  await eventually(() => expect(read("kid.status")).toBe("0\n"), WAIT);
  expect(read("kid.out")).toMatch(
    new RegExp(
      `^Adopted pid ${main.pid} \\(bash, started .*\\) as agent "parent/kid" on VM "${name}"\n`,
    ),
  );
  await stack.rekey("parent");
  await stack.applied("parent/kid", 2n);
  await stack.murmur.run(["kill", "parent"]);
  await eventually(() => expect(isAlive(main)).toBe(false), WAIT);
}, 360_000);

test("what cannot be adopted is refused in words, and its slug is free again", async () => {
  const refusal = (pid: number) => {
    try {
      adopt("refused", pid);
      return "adopted";
    } catch (error) {
      return (error as { stderr?: string }).stderr ?? "";
    }
  };
  const daemon = stack.pidOf("vm-agent-1");
  expect(refusal(4_194_304)).toContain("FAILED_PRECONDITION: there is no process 4194304\n");
  expect(refusal(daemon)).toContain(`process ${daemon} is this VM's daemon\n`);
  const parent = readProcess(daemon)!.parentPid;
  expect(refusal(parent)).toContain(`process ${parent} runs this VM's daemon\n`);
  const { main } = await startLoop("late");
  adopt("refused", main.pid);
  expect(refusal(main.pid)).toContain("ALREADY_EXISTS");
  await stack.murmur.run(["kill", "refused"]);
  await eventually(() => expect(isAlive(main)).toBe(false), WAIT);
}, 360_000);
