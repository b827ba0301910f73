import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { LayerName } from "../../services/vm-agent/live-env/receipts";
import { percentile } from "../harness";
import type { BenchAgent } from "./bench-agent";

/** Something measured with a layer and without. */
export interface Pair {
  with: number;
  without: number;
}

const ROUNDS = 15;
const IDLE_MS = 3_000;

/** Starts per round: enough for a round of half a second. */
const STARTS: Record<LayerName, number> = { exec: 300, bash: 100, node: 8, python: 25 };

function program(layer: LayerName, { python, nothing }: BenchAgent): [string, string, string] {
  const programs: Record<LayerName, [string, string, string]> = {
    // What it does at start; and idle, once its environment was read.
    exec: ["/bin/true", "", ""],
    bash: ["bash", "-c :", "echo $TOKEN; read -r line"],
    node: [
      process.execPath,
      `-- ${nothing}`,
      "console.log(process.env.TOKEN); process.stdin.resume()",
    ],
    python: [python, "-c pass", "import os,sys; print(os.environ['TOKEN'], flush=True); input()"],
  };
  return programs[layer];
}

/** Its own environment is bare; what it starts has what it is told. */
const LOOP = `export "\${@:2}"; for ((i = 0; i < $1; i++)); do PROGRAM; done; times`;

/**
 * What a start costs, ms of processor: so that other work of the machine counts as little as can be.
 * With and without in turns, and of each the least.
 */
export function measureStart(agent: BenchAgent, layer: LayerName): Pair {
  const [file, argument] = program(layer, agent);
  const loop = LOOP.replace("PROGRAM", `${file} ${argument}`);
  const round = (works: readonly LayerName[]) => {
    const names = Object.entries(agent.environment(works)).map(
      ([name, value]) => `${name}=${value}`,
    );
    const options = { env: { PATH: "/usr/bin:/bin" }, encoding: "utf8" } as const;
    const words = ["-c", loop, "loop", String(STARTS[layer]), ...names];
    const { status, stdout } = spawnSync("bash", words, options);
    if (status !== 0) throw new Error(`${file} ended with ${status}`);
    return childrenMs(stdout) / STARTS[layer];
  };
  const samples = { with: [] as number[], without: [] as number[] };
  for (let at = 0; at < ROUNDS; at++) {
    samples.without.push(round([]));
    samples.with.push(round([layer]));
  }
  return { with: Math.min(...samples.with), without: Math.min(...samples.without) };
}

/** The second line of what `times` says: user and system, `0m1.234s` each. */
function childrenMs(text: string): number {
  const [, children = ""] = text.trim().split("\n").slice(-2);
  return [...children.matchAll(/(\d+)m([\d.]+)s/g)]
    .map(([, minutes, seconds]) => (Number(minutes) * 60 + Number(seconds)) * 1000)
    .reduce((sum, ms) => sum + ms, 0);
}

const READS: Partial<Record<LayerName, (agent: BenchAgent) => [string, ...string[]]>> = {
  bash: () => [
    "bash",
    "-c",
    "f() { for ((i = 0; i < 200000; i++)); do [[ $TOKEN ]]; done; }; a=${EPOCHREALTIME/./}; f; b=${EPOCHREALTIME/./}; echo $(((b - a) / 200))",
  ],
  node: () => [
    process.execPath,
    "-e",
    "let n=0; const run=()=>{const a=process.hrtime.bigint(); for(let i=0;i<2e6;i++) n+=process.env.TOKEN.length; return Number(process.hrtime.bigint()-a)/2e6}; run(); console.log(run())",
  ],
  python: ({ python }) => [
    python,
    "-c",
    "import os,timeit; print(min(timeit.repeat(lambda: os.environ['TOKEN'], number=300000, repeat=3))/300000*1e9)",
  ],
};

/** One read of a variable, ns; undefined: the layer has no part in it. */
export function measureRead(agent: BenchAgent, layer: LayerName): Pair | undefined {
  const command = READS[layer]?.(agent);
  if (!command) return undefined;
  const [file, ...args] = command;
  const run = (works: readonly LayerName[]) => {
    const options = { env: agent.environment(works), encoding: "utf8" } as const;
    const said = Array.from({ length: 5 }, () => Number(spawnSync(file, args, options).stdout));
    return percentile(said, 0.5);
  };
  return { with: run([layer]), without: run([]) };
}

/** What a process costs that does nothing: KB of memory, and how often it ran. */
export async function measureIdle(
  agent: BenchAgent,
  layer: LayerName,
): Promise<{ memory: Pair; wakeUps: Pair } | undefined> {
  if (layer === "exec") return undefined; // It is over before the program begins.
  const outside = await idle(agent, layer, []);
  const inside = await idle(agent, layer, [layer]);
  return {
    memory: { with: inside.kilobytes, without: outside.kilobytes },
    wakeUps: { with: inside.switches, without: outside.switches },
  };
}

async function idle(agent: BenchAgent, layer: LayerName, works: readonly LayerName[]) {
  const [file, , script] = program(layer, agent);
  const args = [layer === "node" ? "-e" : "-c", script];
  const found = [];
  for (let at = 0; at < 3; at++) {
    const child = spawn(file, args, { env: agent.environment(works), stdio: "pipe" });
    await once(child.stdout, "data");
    await delay(500);
    const before = switchesOf(child.pid ?? 0);
    await delay(IDLE_MS);
    const switches = switchesOf(child.pid ?? 0) - before;
    found.push({ switches, kilobytes: privateKilobytesOf(child.pid ?? 0) });
    child.kill("SIGKILL");
  }
  const median = (of: number[]) => percentile(of, 0.5);
  return {
    switches: median(found.map(({ switches }) => switches)),
    kilobytes: median(found.map(({ kilobytes }) => kilobytes)),
  };
}

/** How often any of its threads was put on a processor. */
function switchesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((task) => readFileSync(`/proc/${pid}/task/${task}/status`, "utf8"))
    .flatMap((text) =>
      [...text.matchAll(/ctxt_switches:\s+(\d+)/g)].map(([, count]) => Number(count)),
    )
    .reduce((sum, count) => sum + count, 0);
}

function privateKilobytesOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return [...text.matchAll(/^Private_\w+:\s+(\d+) kB/gm)].reduce(
    (sum, [, kb]) => sum + Number(kb),
    0,
  );
}
