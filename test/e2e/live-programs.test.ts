import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../harness/eventually";
import { freshRandom, startTestStack, type TestStack } from "../harness/stack";

/** Compilers that not every machine has: without one, its program is not among those tried. */
const has = (command: string, ...args: string[]) => {
  // With no more than an agent takes over from its daemon.
  const env = { PATH: process.env["PATH"], HOME: process.env["HOME"] };
  return spawnSync(command, args, { env }).status === 0;
};
const HAS_GO = has("go", "version");
const HAS_CARGO = has("cargo", "--version");
const COMPILED = [...(HAS_GO ? ["go"] : []), ...(HAS_CARGO ? ["cargo"] : [])];

/** Those that note what they use, by themselves or by their children. */
const FOLLOWERS = ["bash", "asyncio", "pool", "npm", "make", ...COMPILED];
const PIDS = ["bash", "server", "asyncio", "npm", "make", "perl", ...COMPILED];
const WAIT = { timeoutMs: 60_000 };

let stack: TestStack;
let home: string;
let notes: string;
const first = freshRandom();

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "murmur-live-programs-"));
  notes = join(home, "notes");
  cpSync(join(__dirname, "live-programs"), join(home, "programs"), { recursive: true });
  mkdirSync(notes);
  buildPrograms();
  stack = await startTestStack();
  await stack.setTwins(first);
  const agent = join(home, "programs/agent.sh");
  await stack.murmur.run(["spawn", "programs", "--", "bash", agent, notes, ...COMPILED]);
}, 360_000);

afterAll(async () => {
  await stack.stop();
  rmSync(home, { recursive: true, force: true });
}, 360_000);

function buildPrograms(): void {
  if (HAS_GO) {
    const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "", GOCACHE: join(home, "go-cache") };
    execFileSync("go", ["build", "-o", join(home, "programs/static-go"), "."], {
      ...{ cwd: join(home, "programs/go"), env },
    });
  }
  if (HAS_CARGO) {
    // `cargo run` by the agent finds it built.
    execFileSync("cargo", ["build", "--quiet", "--offline"], { cwd: join(home, "programs/cargo") });
  }
}

const noted = (name: string) => readFileSync(join(notes, name), "utf8").trim();
const pidOf = (name: string) => Number(noted(`${name}.pid`));

/** Who a program is: what another process with its pid would not have. */
function identities(): unknown[] {
  return PIDS.map((name) => {
    const stat = readFileSync(`/proc/${pidOf(name)}/stat`, "utf8");
    return [name, pidOf(name), stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]];
  });
}

async function askServer(): Promise<unknown> {
  return (await fetch(`http://127.0.0.1:${noted("server.port")}/`)).json();
}

async function allUse(value: string): Promise<void> {
  const expected = Object.fromEntries(FOLLOWERS.map((name) => [name, value]));
  await eventually(async () => {
    expect(Object.fromEntries(FOLLOWERS.map((name) => [name, noted(name)]))).toEqual(expected);
    expect(await askServer()).toEqual([value, value, value]);
  }, WAIT);
}

test("programs that know nothing of Murmur use the new value, and none loses its pid", async () => {
  await allUse(`tok-${first}`);
  await eventually(() => expect(noted("perl")).toBe(`tok-${first}`), WAIT);
  const before = identities();
  for (let round = 0; round < 3; round++) {
    const random = freshRandom();
    await stack.setTwins(random);
    await stack.rekey("programs");
    await allUse(`tok-${random}`);
  }
  expect(identities()).toEqual(before);
  expect(noted("perl")).toBe(`tok-${first}`);
}, 360_000);

interface StatusProcess {
  pid: number;
  layer: string | null;
  generation: number | null;
  reads_through: boolean;
}

test("what ignores its environment is counted as such, never as done", async () => {
  await stack.setTwins(freshRandom());
  const wait = ["--wait", "processes", "--timeout", "15s"];
  const { code, stderr } = await stack.murmur.tryRun(["rekey", ...wait, "programs"]);
  expect(code).not.toBe(0);
  expect(stderr).toMatch(new RegExp(`pid ${pidOf("perl")} \\(perl\\) is on generation 1\\b`));
  await eventually(async () => {
    await askServer(); // Idle, it would have read nothing.
    const { stdout } = await stack.murmur.run(["status", "--json", "programs"]);
    const status = JSON.parse(stdout) as { desired_generation: number; processes: StatusProcess[] };
    const of = (name: string) => status.processes.find(({ pid }) => pid === pidOf(name));
    const live = { generation: status.desired_generation, reads_through: true };
    expect(of("bash")).toMatchObject({ ...live, layer: "bash" });
    expect(of("server")).toMatchObject({ ...live, layer: "node" });
    expect(of("npm")).toMatchObject({ ...live, layer: "node" });
    expect(of("asyncio")).toMatchObject({ ...live, layer: "python" });
    expect(of("perl")).toMatchObject({ generation: 1, reads_through: false, layer: "exec" });
  }, WAIT);
}, 360_000);

if (HAS_GO)
  test("what nothing can be loaded into cannot be told", async () => {
    // It became what it is by way of `env`, which left a receipt.
    const { stdout } = await stack.murmur.run(["status", "programs"]);
    expect(stdout).toMatch(new RegExp(`pid ${pidOf("go")} \\(static-go\\) cannot be told`));
  });

test("murmur exec finds the agent by its name, as long as it lives", async () => {
  const exec = (...command: string[]) =>
    spawnSync(
      join(stack.place.root, "bin/murmur"),
      ["exec", "--agent", "programs", "--", ...command],
      {
        env: { PATH: process.env["PATH"], MURMUR_RUN_DIR: stack.vms[0]!.runDir },
        encoding: "utf8",
      },
    );
  const random = freshRandom();
  await stack.setTwins(random);
  const generation = (await stack.rekey("programs")).get("programs")!;
  await stack.applied("programs", generation, 30_000);
  const { stdout } = exec("sh", "-c", 'echo "$DEMO_TOKEN $MURMUR_GENERATION $MURMUR_LIVE"');
  expect(stdout).toBe(`tok-${random} ${generation} exec,bash,node,python\n`);
  await stack.murmur.run(["kill", "programs"]);
  await eventually(() => {
    expect(exec("true")).toMatchObject({
      ...{ status: 125, stdout: "" },
      stderr: 'murmur: exec: no agent "programs" lives on this machine\n',
    });
  }, WAIT);
}, 360_000);
